"""Which column of a file is which of ours.

Known spellings: our names, gorse's (``ItemId``, ``FeedbackType``, ``IsHidden``), RecBole's typed headers
(``user_id:token``), Amazon Personalize's (``USER_ID``, ``CREATION_TIMESTAMP``). Case, underscores and blanks do not count.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kinema.errors import ConfigError, DataError

ALIASES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "item": {
        "id": ("id", "itemid", "item", "videoid", "video", "movieid", "contentid", "productid"),
        "title": ("title", "name", "itemname", "videotitle", "movietitle", "comment"),
        "description": ("description", "desc", "summary", "overview", "plot", "abstract"),
        "categories": ("categories", "category", "genres", "genre", "class"),
        "tags": ("tags", "tag", "labels", "keywords", "hashtags"),
        "language": ("language", "lang"),
        "published_at": ("publishedat", "publishedms", "uploadedat", "createdat", "creationtimestamp", "timestamp"),
        "duration_ms": ("durationms", "videodurationms", "lengthms"),
        "media_path": ("mediapath", "path", "filepath", "file", "filename"),
        "hidden": ("hidden", "ishidden"),
        "attributes": ("attributes",),
    },
    "user": {
        "id": ("id", "userid", "user", "uid"),
        "attributes": ("attributes",),
    },
    "event": {
        "user": ("user", "userid", "uid", "visitorid", "customerid"),
        "item": ("item", "itemid", "iid", "videoid", "video", "movieid", "contentid", "productid"),
        "timestamp_ms": (
            "timestampms",
            "timestamp",
            "timems",
            "time",
            "ts",
            "eventtime",
            "datetime",
            "createdat",
            "date",
        ),
        "kind": ("kind", "eventtype", "feedbacktype", "event", "action", "behavior", "behaviour", "type"),
        "id": ("id", "eventid"),
        "value": ("value", "eventvalue", "rating", "score", "stars"),
        "watch_ms": ("watchms", "watchtimems", "playtimems", "playms"),
        "session_id": ("sessionid", "session"),
        "slate_id": ("slateid", "recommendationid", "requestid", "impressionid"),
        "position": ("position", "pos", "rank"),
        "propensity": ("propensity", "propensityscore", "pscore"),
        "context": ("context",),
    },
}
"""For each of our columns the spellings looked for, the likeliest first, in the form of `_plain`."""

REQUIRED: Final = {"item": ("id",), "user": ("id",), "event": ("user", "item", "timestamp_ms")}
REST: Final = {"item": "attributes", "user": "attributes", "event": "context"}
"""Where columns go that are none of ours."""


@dataclass(frozen=True)
class Columns:
    """How the columns of one file are read.

    Attributes:
        kind: ``item``, ``user`` or ``event``.
        ours: Our name -> the file's.
        rest: The file's names of the other columns, which go to ``attributes`` or ``context``.
        types: The file's name -> RecBole's type (``token``, ``float``, ``token_seq``, ``float_seq``), where it has one.
        used_mapping: Names of the mapping that the file has.
    """

    kind: str
    ours: Mapping[str, str]
    rest: tuple[str, ...]
    types: Mapping[str, str]
    used_mapping: frozenset[str]

    def label(self, name: str) -> str:
        """The file's name of a column without RecBole's type."""
        return name.rsplit(":", 1)[0] if name in self.types else name


def check_mapping(mapping: Mapping[str, str]) -> None:
    """Refuse a mapping to a column that does not exist.

    Args:
        mapping: The file's name -> ours.

    Raises:
        ConfigError: It names a column that no table has.
    """
    known = sorted({name for names in ALIASES.values() for name in names})
    for theirs, ours in mapping.items():
        if ours not in known:
            raise ConfigError(
                f"mapping '{theirs}={ours}' must name one of our columns, '{ours}' is none; known: {', '.join(known)}"
            )


def resolve(header: Sequence[str], *, kind: str, mapping: Mapping[str, str], file: str) -> Columns:
    """Find our columns in a header.

    Args:
        header: The file's column names.
        kind: ``item``, ``user`` or ``event``.
        mapping: The file's name -> ours; it wins over the known spellings. ``item`` names the id in a table of items,
            ``user`` in one of users, so one mapping serves all files.
        file: For messages.

    Returns:
        The columns.

    Raises:
        DataError: A required column is missing, or two columns have the same name.

    Example:
        >>> found = resolve(["user_id:token", "item_id:token", "timestamp:float", "device"],
        ...                 kind="event", mapping={}, file="x.inter")
        >>> found.ours["user"], found.rest
        ('user_id:token', ('device',))
    """
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"'{file}' must have distinct column names, has '{repeated[0]}' twice; rename one")
    typed = {name: match for name in header if (match := _TYPED.fullmatch(name))}
    types = {name: match[2] for name, match in typed.items()}
    plain = {name: _plain(typed[name][1] if name in typed else name) for name in header}
    ours, used = _mapped(header, kind, mapping, plain)
    for name, spellings in ALIASES[kind].items():
        if name in ours:
            continue
        free = [theirs for theirs in header if theirs not in ours.values()]
        found = [theirs for spelling in spellings for theirs in free if plain[theirs] == spelling]
        if found:
            ours[name] = found[0]
    for name in REQUIRED[kind]:
        if name not in ours:
            raise DataError(
                f"'{file}' must have a column '{name}' for its {kind}s, has: {', '.join(header)}; "
                f"name it with: --map THEIRS={name}"
            )
    rest = tuple(name for name in header if name not in ours.values())
    return Columns(kind, ours, rest, types, frozenset(used))


_TYPED: Final = re.compile(r"(.+):(token|float|token_seq|float_seq)")


def _plain(name: str) -> str:
    return re.sub(r"[^0-9a-z]", "", name.lower())


def _mapped(
    header: Sequence[str], kind: str, mapping: Mapping[str, str], plain: Mapping[str, str]
) -> tuple[dict[str, str], set[str]]:
    ours: dict[str, str] = {}
    used: set[str] = set()
    for theirs, name in mapping.items():
        target = "id" if name == kind else name
        found = [column for column in header if column == theirs or plain[column] == _plain(theirs)]
        if found and target in ALIASES[kind]:
            ours[target] = found[0]
            used.add(theirs)
    return ours, used
