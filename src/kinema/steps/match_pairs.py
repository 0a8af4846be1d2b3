"""Where pairs of a query and its answer come from: a table, searches in the log, the catalogue's own texts, or sessions."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.encoders.text import item_text
from kinema.errors import DataError
from kinema.schema import INTERACTION_KINDS
from kinema.sources.whole_tables import read_whole_table
from kinema.store.protocols import Store
from kinema.tasks.match_data import FEWEST, Pairs

QUERY_KEYS: Final = ("query", "search", "q")
"""Under one of these an event's context holds the words that were searched for."""
SESSION_GAP_MS: Final = 1_800_000
"""Half an hour without an event ends a session that the log does not name."""
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "query": ("query", "text", "q", "search"),
    "item": ("item", "item_id", "id"),
    "weight": ("weight",),
    "label": ("label", "relevant", "clicked"),
}
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
_SHORTEST: Final = 8
_LONGEST: Final = 300
"""Characters of a part of a text that can be a query, and of a sentence that are taken of it."""
_KINDS: Final = ("title", "sentence", "tags")


@dataclass(frozen=True)
class ReadPairs:
    """Pairs, and what a person should know of them."""

    pairs: Pairs
    notices: tuple[str, ...] = ()


def read_pairs(store: Store, items: pl.DataFrame, table: Path | None) -> ReadPairs:
    """Queries in words with their answers: from a table, else from the searches of the log, else from the catalogue.

    Args:
        store: Of the project.
        items: Frame of the store.
        table: With a query and an item id per row, and perhaps a weight or a label; None for the project's own.

    Raises:
        DataError: The table cannot be read or has no column for queries or items, or no row is right.
    """
    if table is not None:
        return pairs_of_table(table, items["id"].to_list())
    found = pairs_of_searches(store)
    return pairs_of_catalogue(items) if found is None else found


def pairs_of_table(path: Path, item_ids: Sequence[str]) -> ReadPairs:
    """Pairs of a table; rows with label 0, without words, or of unknown items are left out and counted."""
    frame, rejects = read_whole_table(path)
    names = {role: next((one for one in known if one in frame.columns), "") for role, known in _COLUMNS.items()}
    for role in ("query", "item"):
        if not names[role]:
            raise DataError(
                f"'{path.name}' must have a column for the {role}, such as {_COLUMNS[role][0]}, has "
                f"{', '.join(frame.columns)}; rename one"
            )
    numbers = {one: place for place, one in enumerate(item_ids)}
    texts = [" ".join(str(one or "").split()) for one in frame[names["query"]].to_list()]
    rows = [numbers.get(str(one), -1) for one in frame[names["item"]].to_list()]
    weights_N = _numbers(frame, names["weight"], path, default=1.0)
    labels_N = _numbers(frame, names["label"], path, default=1.0)
    right = labels_N > 0
    known = np.array(rows) >= 0
    worded = np.array([bool(one) for one in texts])
    kept = np.flatnonzero(right & known & worded & (weights_N > 0))
    if not len(kept):
        raise DataError(
            f"'{path.name}' must have rows with a query and an item of the catalogue, has none; check its ids"
        )
    counted = {
        "lines that could not be read": len(rejects),
        "rows whose label is 0": int((~right).sum()),
        "rows of items that the catalogue does not have": int((~known).sum()),
        "rows without words": int((~worded).sum()),
    }
    notices = tuple(f"left out: {count:,} {what}" for what, count in counted.items() if count)
    pairs = _pairs([texts[one] for one in kept], np.array(rows)[kept], weights_N[kept], source=f"table {path.name}")
    return ReadPairs(pairs, notices)


def pairs_of_searches(store: Store) -> ReadPairs | None:
    """Words of searches with the items that were then opened or watched; None where the log has too few.

    A search is an event that speaks for its item and whose context has the words, as ``{"query": "otters"}``.
    """
    events = store.events(kinds=INTERACTION_KINDS, columns=["item", "timestamp_ms", "context"])
    named = events.filter(
        pl.any_horizontal(pl.col("context").str.contains(f'"{key}"', literal=True) for key in QUERY_KEYS)
    )
    texts = [_searched(one) for one in named["context"].to_list()]
    kept = np.flatnonzero([bool(one) for one in texts])
    if len(kept) < FEWEST:
        return None
    moments_N = named["timestamp_ms"].to_numpy()[kept]
    pairs = _pairs(
        [texts[one] for one in kept],
        named["item"].to_numpy()[kept],
        np.ones(len(kept), dtype=np.float32),
        moments_N=moments_N,
        source="searches of the log",
    )
    return ReadPairs(pairs)


def pairs_of_catalogue(items: pl.DataFrame) -> ReadPairs:
    """Parts of each item's own text as queries for it: the title, sentences of the description, the tags.

    The item goes without the part that is the query, and the items beside it without a part of that kind.

    Raises:
        DataError: No item has a text that can be taken apart.
    """
    texts: dict[str, list[Any]] = {"query": [], "item": [], "rest": [], "kind": []}
    bare: list[list[str]] = [[] for _ in _KINDS]
    for number, row in enumerate(items.sort("num").to_dicts()):
        crops = _crops(row)
        for kind, query, rest in crops:
            for name, value in zip(texts, (query, number, item_text(rest), kind), strict=True):
                texts[name].append(value)
        for kind, texts_of_kind in enumerate(bare):
            texts_of_kind.append(item_text(next((rest for one, _, rest in crops if one == kind), row)))
    if not texts["query"]:
        raise DataError("items must have titles or descriptions to be learnt from, have none; give pairs with --pairs")
    kinds = dict(zip(reversed(texts["query"]), reversed(texts["kind"]), strict=True))
    pairs = _pairs(
        texts["query"],
        np.array(texts["item"]),
        np.ones(len(texts["item"]), dtype=np.float32),
        source="the catalogue's own texts",
    )
    pairs = replace(
        pairs,
        rests=tuple(texts["rest"]),
        kind_Q=np.array([kinds[one] for one in pairs.queries], dtype=np.int64),
        bare=tuple(map(tuple, bare)),
    )
    notice = "no pairs were given and the log has no searches: parts of the items' own texts stand for queries"
    return ReadPairs(pairs, (notice,))


def pairs_of_sessions(store: Store, item_ids: Sequence[str]) -> ReadPairs:
    """Items with the item that the same user turned to next in the same session.

    Raises:
        DataError: There are too few.
    """
    columns = ["user", "item", "timestamp_ms", "session_id"]
    events = store.events(kinds=INTERACTION_KINDS, columns=columns).sort(["user", "timestamp_ms"], maintain_order=True)
    users_N, items_N, times_N = (events[name].to_numpy() for name in columns[:3])
    sessions = events["session_id"].fill_null("").to_numpy()
    # An item that was clicked, watched and liked is one visit.
    fresh = np.ones(len(events), dtype=np.bool_)
    fresh[1:] = (users_N[1:] != users_N[:-1]) | (items_N[1:] != items_N[:-1])
    users_N, items_N, times_N, sessions = (one[fresh] for one in (users_N, items_N, times_N, sessions))
    named = (sessions[1:] != "") & (sessions[:-1] != "")
    together = np.where(named, sessions[1:] == sessions[:-1], np.diff(times_N) <= SESSION_GAP_MS)
    chosen = np.flatnonzero(together & (users_N[1:] == users_N[:-1]) & (items_N[1:] != items_N[:-1]))
    if len(chosen) < FEWEST:
        raise DataError(
            f"sessions must have at least {FEWEST} items that were followed by another, have {len(chosen)}; "
            "run: kinema ingest --events FILE"
        )
    asked, query_N = np.unique(items_N[chosen], return_inverse=True)
    pairs = Pairs(
        tuple(item_ids[one] for one in asked.tolist()),
        query_N.astype(np.int64),
        items_N[chosen + 1].astype(np.int64),
        np.ones(len(chosen), dtype=np.float32),
        times_N[chosen + 1].astype(np.int64),
        source="sessions of the log",
        query_items_Q=asked.astype(np.int64),
    )
    return ReadPairs(pairs)


def _crops(row: Mapping[str, Any]) -> list[tuple[int, str, dict[str, Any]]]:
    """Parts of an item's text: kind, the part, and the item without it."""
    found: list[tuple[int, str, dict[str, Any]]] = []
    title, description = str(row.get("title") or ""), str(row.get("description") or "")
    if len(title) >= _SHORTEST:
        found.append((_KINDS.index("title"), title, {**row, "title": None}))
    sentences = [one for one in _SENTENCE.split(description) if one]
    for place, sentence in enumerate(sentences):
        if len(sentence) >= _SHORTEST:
            others = " ".join(one for number, one in enumerate(sentences) if number != place)
            found.append((_KINDS.index("sentence"), sentence[:_LONGEST], {**row, "description": others}))
    tags = ", ".join(str(one) for one in row.get("tags") or () if one)
    if len(tags) >= _SHORTEST:
        found.append((_KINDS.index("tags"), tags, {**row, "tags": []}))
    return found


def _searched(context: str | None) -> str:
    """The words of a context; empty without."""
    try:
        found = json.loads(context or "{}")
    except ValueError:
        return ""
    words = (
        next((found[key] for key in QUERY_KEYS if isinstance(found.get(key), str)), "")
        if isinstance(found, dict)
        else ""
    )
    return " ".join(words.split())


def _numbers(frame: pl.DataFrame, name: str, path: Path, *, default: float) -> NDArray[np.float32]:
    """A column of numbers; the default where there is no such column, or no value.

    Raises:
        DataError: A value is no number.
    """
    if not name:
        return np.full(frame.height, default, dtype=np.float32)
    column = frame[name]
    values = column.cast(pl.Float32, strict=False)
    wrong = (values.is_null() | ~values.is_finite().fill_null(value=False)) & column.is_not_null()
    if wrong.any():
        place = int(wrong.arg_max() or 0)
        raise DataError(
            f"'{path.name}' must have numbers in column '{name}', has '{column[place]}' in row {place + 1}; correct it"
        )
    return values.fill_null(default).to_numpy()


def _pairs(
    texts: Sequence[str],
    items_N: NDArray[np.integer],
    weights_N: NDArray[np.float32],
    *,
    source: str,
    moments_N: NDArray[np.integer] | None = None,
) -> Pairs:
    numbers = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    return Pairs(
        tuple(numbers),
        np.array([numbers[text] for text in texts], dtype=np.int64),
        np.asarray(items_N, dtype=np.int64),
        np.asarray(weights_N, dtype=np.float32),
        None if moments_N is None else np.asarray(moments_N, dtype=np.int64),
        source=source,
    )
