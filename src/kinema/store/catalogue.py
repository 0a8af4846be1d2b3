"""Writing and reading the ``items`` and ``users`` tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Table, and_, bindparam, func, or_, select, update

from kinema.schema import ITEM_COLUMNS, Item, User
from kinema.store.tables import ITEMS, USERS
from kinema.store.text_json import lists_from_json, lists_to_json, read_list, read_object
from kinema.store.vocabulary import Vocabulary

_LISTS: Final = ("categories", "tags")
_EMPTY: Final = {"title": "", "description": "", "language": "", "media_path": "", "attributes": "{}"}


@dataclass(frozen=True)
class CatalogueWrite:
    """What a write of items or users did.

    Attributes:
        new: Rows inserted.
        known: Rows whose id was there already.
        changed: How many of those got other content.
        repeated: The rows whose id an earlier row of the same frame or source has; they were left out.
    """

    new: int
    known: int
    changed: int
    repeated: pl.DataFrame


def write_rows(
    connection: Connection,
    vocabulary: Vocabulary,
    table: Table,
    frame: pl.DataFrame,
    *,
    source: int | None,
    fill: bool,
) -> CatalogueWrite:
    """Insert new rows and update known ones.

    Args:
        connection: Inside a writing transaction.
        vocabulary: Of this table.
        table: ``items`` or ``users``.
        frame: Columns of `Item` or `User`. A column that is missing keeps its value in known rows.
        source: Number of the source file; None for a write without a mark.
        fill: Known rows keep what they have; only their empty columns are set.

    Returns:
        Counts, and the repeated rows.
    """
    numbers = vocabulary.numbers(connection, frame["id"])
    repeated = ~frame["id"].is_first_distinct() | _listed_before(connection, table, numbers, source)
    rows = _encode(table, frame).with_columns(num=numbers, source=pl.lit(source, dtype=pl.Int32)).filter(~repeated)
    new = rows.filter(pl.col("num").is_null()).drop("num")
    known = rows.filter(pl.col("num").is_not_null())
    if new.height:
        vocabulary.add(connection, new)
    changed = _update(connection, table, known, fill=fill) if known.height else 0
    return CatalogueWrite(new.height, known.height, changed, frame.filter(repeated))


def read_item(connection: Connection, item_id: str) -> Item | None:
    """One item, None where it is unknown or deleted."""
    row = connection.execute(select(ITEMS).where(ITEMS.c.id == item_id, ITEMS.c.deleted.is_(None))).one_or_none()
    return None if row is None else _as_item(row)


def read_user(connection: Connection, user_id: str) -> User | None:
    """One user, None where unknown."""
    row = connection.execute(select(USERS).where(USERS.c.id == user_id, USERS.c.deleted.is_(None))).one_or_none()
    return None if row is None else User(row.id, read_object(row.attributes))


def read_number(connection: Connection, table: Table, its_id: str) -> int | None:
    """The number of an item or a user."""
    return connection.execute(select(table.c.num).where(table.c.id == its_id, table.c.deleted.is_(None))).scalar()


def item_page(connection: Connection, *, after: int, limit: int) -> list[tuple[int, Item]]:
    """Items behind a number."""
    return [(row.num, _as_item(row)) for row in _page(connection, ITEMS, after, limit)]


def removed_items(connection: Connection) -> list[int]:
    """Numbers of the deleted items."""
    return list(connection.execute(select(ITEMS.c.num).where(ITEMS.c.deleted).order_by(ITEMS.c.num)).scalars())


def user_page(connection: Connection, *, after: int, limit: int, part: str = "") -> list[tuple[int, User]]:
    """Users behind a number whose id contains a part."""
    rows = _page(connection, USERS, after, limit, part)
    return [(row.num, User(row.id, read_object(row.attributes))) for row in rows]


def _page(connection: Connection, table: Table, after: int, limit: int, part: str = "") -> Iterable[Any]:
    statement = select(table).where(table.c.num > after, table.c.deleted.is_(None)).order_by(table.c.num).limit(limit)
    return connection.execute(statement.where(table.c.id.icontains(part, autoescape=True)) if part else statement)


def count_live(connection: Connection, table: Table) -> int:
    """Rows that were not removed."""
    return connection.execute(select(func.count()).select_from(table).where(table.c.deleted.is_(None))).scalar() or 0


def read_media(connection: Connection) -> pl.DataFrame:
    """All items by number: ``id`` and ``media_path`` alone."""
    return _read(connection, ITEMS, ("id", "media_path"))


def read_items(connection: Connection) -> pl.DataFrame:
    """All items by number: ``num`` and the columns of `Item`."""
    frame = _read(connection, ITEMS, ("num", *ITEM_COLUMNS))
    return frame.with_columns(
        *[pl.col(name).fill_null("") for name in ("title", "description", "language")],
        *[lists_from_json(frame[name]) for name in _LISTS],
        pl.col("hidden").fill_null(value=False),
        pl.col("attributes").fill_null("{}"),
    )


def read_users(connection: Connection) -> pl.DataFrame:
    """All users by number: ``num``, ``id``, ``attributes``."""
    return _read(connection, USERS, ("num", "id", "attributes")).with_columns(pl.col("attributes").fill_null("{}"))


def _as_item(row: Any) -> Item:
    """An `Item` from a row with its columns."""
    return Item(
        id=row.id,
        title=row.title or "",
        description=row.description or "",
        categories=read_list(row.categories),
        tags=read_list(row.tags),
        language=row.language or "",
        published_at=row.published_at,
        duration_ms=row.duration_ms,
        media_path=row.media_path,
        hidden=bool(row.hidden),
        attributes=read_object(row.attributes),
    )


def forget_source(connection: Connection, table: Table, source: int) -> None:
    """Let a source list its rows anew."""
    connection.execute(update(table).where(table.c.source == source).values(source=None))


def _encode(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    names = [name for name in table.c.keys() if name in frame.columns]  # noqa: SIM118 (iterating yields columns)
    columns = [lists_to_json(frame[name]) if name in _LISTS else frame[name] for name in names]
    empty = [(name, value) for name, value in _EMPTY.items() if name in names]
    return pl.DataFrame(columns).with_columns(
        pl.when(pl.col(name) != value).then(pl.col(name)).alias(name) for name, value in empty
    )


def _listed_before(connection: Connection, table: Table, numbers: pl.Series, source: int | None) -> pl.Series:
    """Which known rows this very source has listed already, in an earlier block or before a crash."""
    if source is None or numbers.null_count() == len(numbers):
        return pl.repeat(value=False, n=len(numbers), dtype=pl.Boolean, eager=True)
    lowest, highest = numbers.min(), numbers.max()
    statement = select(table.c.num).where(table.c.num.between(lowest, highest), table.c.source == source)
    listed = pl.Series(connection.execute(statement).scalars().all(), dtype=pl.Int32)
    return numbers.is_in(listed.implode()).fill_null(value=False)


def _update(connection: Connection, table: Table, known: pl.DataFrame, *, fill: bool) -> int:
    """Update rows by number; returns how many got other content."""
    marks = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in known.columns}
    content = [name for name in known.columns if name not in {"num", "id", "source"}]
    rows = [{f"new_{name}": value for name, value in row.items()} for row in known.iter_rows(named=True)]
    this_row = table.c.num == marks["num"]
    connection.execute(update(table).where(this_row).values(source=marks["source"]), rows)
    if not content:
        return 0
    if fill:
        differs = [and_(table.c[name].is_(None), marks[name].is_not(None)) for name in content]
        values: dict[str, Any] = {name: func.coalesce(table.c[name], marks[name]) for name in content}
    else:
        differs = [table.c[name].is_distinct_from(marks[name]) for name in content]
        values = {name: marks[name] for name in content}
    return connection.execute(update(table).where(this_row, or_(*differs)).values(values), rows).rowcount


def _read(connection: Connection, table: Table, names: Sequence[str]) -> pl.DataFrame:
    types: dict[str, Any] = dict.fromkeys(names, pl.String)
    types |= {"num": pl.Int32} if "num" in types else {}
    types |= {name: dtype for name, dtype in _NOT_TEXT.items() if name in types}
    statement = select(*[table.c[name] for name in names]).order_by(table.c.num)
    rows = [tuple(row) for row in connection.execute(statement)]
    return pl.DataFrame(rows, schema=types, orient="row")


_NOT_TEXT: Final = {"published_at": pl.Int64, "duration_ms": pl.Int64, "hidden": pl.Boolean}
