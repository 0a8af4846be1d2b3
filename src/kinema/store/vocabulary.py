"""Ids and their numbers: dense, from 0, in order of first appearance, never changed.

The vocabulary of one table is mirrored in memory, some 30 bytes an id, because looking up two ids per event in the
database would cost more than writing the event. The mirror can only lag behind, never disagree: numbers do not change,
and every writing transaction first reads what other processes have added.
"""

import polars as pl
from sqlalchemy import Connection, Table, func, select

from kinema.store.dialect import insert_new


class Vocabulary:
    """The ids of one table.

    Args:
        table: Has the columns ``num`` and ``id``.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known = pl.DataFrame(schema={"id": pl.String, "num": pl.Int32})

    def __len__(self) -> int:
        """How many ids are mirrored."""
        return self._known.height

    def forget(self) -> None:
        """Empty the mirror; a transaction that was rolled back may have left numbers in it that do not exist."""
        self._known = self._known.clear()

    def catch_up(self, connection: Connection) -> None:
        """Read the ids that others have added since."""
        last = connection.execute(select(func.max(self._table.c.num))).scalar()
        if last is None or last < len(self):
            return
        statement = select(self._table.c.id, self._table.c.num).where(self._table.c.num >= len(self))
        rows = connection.execute(statement.order_by(self._table.c.num)).all()
        self._extend(pl.DataFrame([tuple(row) for row in rows], schema=self._known.schema, orient="row"))

    def numbers(self, ids: pl.Series) -> pl.Series:
        """The number of each id, null where it is unknown.

        Args:
            ids: String.

        Returns:
            Int32, in the order given.
        """
        asked = pl.DataFrame({"id": ids})
        return asked.join(self._known, on="id", how="left", maintain_order="left")["num"]

    def add(self, connection: Connection, rows: pl.DataFrame) -> None:
        """Number new rows in their order and write them.

        Args:
            connection: Inside a writing transaction, after `catch_up`.
            rows: Columns of the table but ``num``; ids distinct and none of them known.
        """
        first = len(self)
        numbered = rows.with_columns(num=pl.int_range(first, first + rows.height, dtype=pl.Int32))
        insert_new(connection, self._table, numbered)
        self._extend(numbered.select("id", "num"))

    def add_missing(self, connection: Connection, ids: pl.Series) -> pl.Series:
        """The number of each id; those not known yet are added, in order of first appearance."""
        numbers = self.numbers(ids)
        if numbers.null_count():
            self.add(connection, ids.filter(numbers.is_null()).unique(maintain_order=True).to_frame("id"))
            numbers = self.numbers(ids)
        return numbers

    def _extend(self, fresh: pl.DataFrame) -> None:
        self._known = pl.concat([self._known, fresh], rechunk=True)
