"""Ids and their numbers: dense, from 0, in order of first appearance, never changed.

A few ids are looked up in the database, by its index. For a block of a file the vocabulary of a table is mirrored in
memory, some 30 bytes an id, because asking for two ids per event would cost more than writing the event. The mirror can
only lag behind, never disagree: numbers do not change, and before it is used it reads what other processes have added and
which items and users they have removed (`kinema.store.tables.REMOVALS`).

A removed row keeps its number. An item's id stays beside it, so that writing the item again brings the number back; an
erased user's id is replaced by a text that nobody has, so that it is new when it comes again.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl
from sqlalchemy import Connection, Table, bindparam, func, insert, select, update

from kinema.errors import DataError
from kinema.store.dialect import insert_new
from kinema.store.tables import MAX_ID, REMOVALS

_FEW: Final = 1_000


class Vocabulary:
    """The ids of one table.

    Every method is called inside a writing transaction.

    Args:
        table: Has the columns ``num``, ``id`` and ``deleted``.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known = pl.DataFrame(schema={"id": pl.String, "num": pl.Int32})
        columns = table.c.id, table.c.num, table.c.deleted
        self._question = select(*columns).where(table.c.id.in_(bindparam("ids", expanding=True)))
        self._gone: dict[str, int] = {}
        self._count = 0
        self._removals = -1

    def __len__(self) -> int:
        """How many numbers the mirror has seen."""
        return self._count

    def forget(self) -> None:
        """Empty the mirror; a transaction that was rolled back may have left numbers in it that do not exist."""
        self._known, self._gone, self._count, self._removals = self._known.clear(), {}, 0, -1

    def numbers(self, connection: Connection, ids: pl.Series) -> pl.Series:
        """The number of each id, null where it is unknown or removed.

        Args:
            connection: Where to look.
            ids: String.

        Returns:
            Int32, in the order given.
        """
        if len(ids) <= _FEW:
            asked = ids.to_list()
            there = self._look_up(connection, asked, removed=False)
            return pl.Series("num", [there.get(one) for one in asked], dtype=pl.Int32)
        self._catch_up(connection)
        return pl.DataFrame({"id": ids}).join(self._known, on="id", how="left", maintain_order="left")["num"]

    def add(self, connection: Connection, rows: pl.DataFrame) -> None:
        """Number new rows in their order and write them; removed ones come back under their old number.

        Args:
            connection: Where to.
            rows: Columns of the table but ``num``; ids distinct and none of them known.

        Raises:
            DataError: An id is empty or too long.
        """
        check_lengths(rows["id"], of=self._table.name.removesuffix("s"))
        if rows.height <= _FEW:
            gone = self._look_up(connection, rows["id"].to_list(), removed=True)
            last = connection.execute(select(func.max(self._table.c.num))).scalar()
            first = 0 if last is None else int(last) + 1
        else:
            self._catch_up(connection)
            gone, first = self._gone, self._count
        if gone:
            again = rows["id"].is_in(list(gone))
            self._bring_back(connection, rows.filter(again), gone)
            rows = rows.filter(~again)
        if rows.height:
            numbered = rows.with_columns(num=pl.int_range(first, first + rows.height, dtype=pl.Int32))
            insert_new(connection, self._table, numbered)
            if first == self._count and rows.height > _FEW:
                self._extend(numbered.select("id", "num"))

    def add_missing(self, connection: Connection, ids: pl.Series) -> tuple[pl.Series, int]:
        """The number of each id, and how many were added because they were not known; in order of first appearance."""
        numbers = self.numbers(connection, ids)
        if not numbers.null_count():
            return numbers, 0
        missing = ids.filter(numbers.is_null()).unique(maintain_order=True)
        self.add(connection, missing.alias("id").to_frame())
        return self.numbers(connection, ids), len(missing)

    def _look_up(self, connection: Connection, ids: Sequence[str], *, removed: bool) -> dict[str, int]:
        """The numbers of those ids that are in the table, removed or not."""
        rows = connection.execute(self._question, {"ids": list(dict.fromkeys(ids))})
        return {row[0]: row[1] for row in rows if bool(row[2]) == removed}

    def _bring_back(self, connection: Connection, rows: pl.DataFrame, gone: dict[str, int]) -> None:
        """Write removed rows anew."""
        if not rows.height:
            return
        marks = {name: bindparam(f"new_{name}", type_=self._table.c[name].type) for name in ("num", *rows.columns)}
        values = {name: marks[name] for name in rows.columns} | {"deleted": None}
        if "hidden" in self._table.c and "hidden" not in values:
            values |= {"hidden": None}
        statement = update(self._table).where(self._table.c.num == marks["num"]).values(values)
        named = [row | {"num": gone[row["id"]]} for row in rows.iter_rows(named=True)]
        connection.execute(statement, [{f"new_{name}": value for name, value in row.items()} for row in named])
        log_removals(connection, self._table, [row["num"] for row in named], back=True)

    def _catch_up(self, connection: Connection) -> None:
        """Read what was added and removed since."""
        newest = connection.execute(select(func.max(REMOVALS.c.seq))).scalar()
        if newest is not None and newest > self._removals:
            if self._count:
                self._apply_removals(connection)
            self._removals = newest
        last = connection.execute(select(func.max(self._table.c.num))).scalar()
        if last is None or last < self._count:
            return
        num, its_id, deleted = self._table.c.num, self._table.c.id, self._table.c.deleted
        rows = connection.execute(select(its_id, num, deleted).where(num >= self._count).order_by(num)).all()
        self._gone |= {row.id: row.num for row in rows if row.deleted}
        live = [(row.id, row.num) for row in rows if not row.deleted]
        self._extend(pl.DataFrame(live, schema=self._known.schema, orient="row"))
        self._count = last + 1

    def _apply_removals(self, connection: Connection) -> None:
        """Drop from the mirror what was removed, and take back what came again."""
        where = REMOVALS.c.seq > self._removals, REMOVALS.c.kind == self._table.name
        changed = connection.execute(select(REMOVALS.c.num).where(*where).distinct()).scalars().all()
        numbers = [number for number in changed if number < self._count]
        self._known = self._known.filter(~pl.col("num").is_in(numbers))
        self._gone = {its: number for its, number in self._gone.items() if number not in set(numbers)}
        for start in range(0, len(numbers), _FEW):
            part = self._table.c.num.in_(numbers[start : start + _FEW])
            rows = connection.execute(
                select(self._table.c.id, self._table.c.num, self._table.c.deleted).where(part)
            ).all()
            self._gone |= {row.id: row.num for row in rows if row.deleted}
            back = [(row.id, row.num) for row in rows if not row.deleted]
            self._known = pl.concat([self._known, pl.DataFrame(back, schema=self._known.schema, orient="row")])

    def _extend(self, fresh: pl.DataFrame) -> None:
        self._known = pl.concat([self._known, fresh], rechunk=True)
        self._count += fresh.height


def check_length(text: str, *, of: str) -> None:
    """`check_lengths` of a single one."""
    if not 0 < len(text) <= MAX_ID:
        raise DataError(f"{of} id must have 1 to {MAX_ID} characters, has {len(text)}")


def check_lengths(ids: pl.Series, *, of: str) -> None:
    """Refuse ids that a database cannot keep.

    Raises:
        DataError: One is empty or too long.
    """
    lengths = ids.str.len_chars()
    wrong = lengths.filter((lengths == 0) | (lengths > MAX_ID)).to_list()
    if wrong:
        raise DataError(f"{of} id must have 1 to {MAX_ID} characters, has {wrong[0]}")


def log_removals(connection: Connection, table: Table, numbers: Sequence[int], *, back: bool = False) -> None:
    """Tell the other processes that rows of a table were removed, or came back."""
    last = connection.execute(select(func.max(REMOVALS.c.seq))).scalar()
    first = 0 if last is None else int(last) + 1
    rows = [
        {"seq": first + place, "kind": table.name, "num": number, "back": back} for place, number in enumerate(numbers)
    ]
    connection.execute(insert(REMOVALS), rows)
