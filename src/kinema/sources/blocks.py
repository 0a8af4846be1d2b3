"""What a source yields: blocks of checked rows, each with the place where reading goes on behind it.

A block is small enough to hold and large enough to be one transaction. Whoever writes it saves the place in the same
transaction; a run that was killed asks the table to read from there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from kinema.schema import Reject

_ROWS_PER_BLOCK: Final = 262_144

NO_ROWS: Final[dict[str, pl.DataFrame]] = {
    "item": pl.DataFrame(schema={"id": pl.String, "row": pl.Int64}),
    "user": pl.DataFrame(schema={"id": pl.String, "row": pl.Int64}),
    "event": pl.DataFrame(
        schema={"user": pl.String, "item": pl.String, "timestamp_ms": pl.Int64, "kind": pl.String, "row": pl.Int64}
    ),
}
"""An empty block of each kind."""


ROW: Final = "\0row"
"""Column of raw frames that numbers the rows from 1; no file can have a column of this name."""


@dataclass(frozen=True)
class RawBlock:
    """Records of a file, split into columns but not judged.

    Attributes:
        frame: Columns by the header's names, String where the file is text, and `ROW`.
        bad: (row, reason, raw) of the records that could not be split.
        next_row: Records before this one, counted from 0, are in this block or earlier ones.
        position: Where reading goes on: a byte of text, a row of Parquet.
        done: Nothing follows.
    """

    frame: pl.DataFrame
    bad: tuple[tuple[int, str, str], ...]
    next_row: int
    position: int
    done: bool


@dataclass(frozen=True)
class Block:
    """Rows of one table that follow each other in the file.

    Attributes:
        frame: The good rows: columns of `Item`, `User` or `Event` as the store takes them, and ``row``, the place in
            the file counted from 1.
        rejects: The others.
        next_row: Rows before this one, counted from 0, are in this block or earlier ones.
        position: Where reading goes on, in the table's own unit.
        done: Nothing follows.
    """

    frame: pl.DataFrame
    rejects: tuple[Reject, ...]
    next_row: int
    position: int
    done: bool


@dataclass(frozen=True)
class Table:
    """A readable table of items, users or events.

    Attributes:
        kind: ``item``, ``user`` or ``event``.
        file: Its name for people, as the caller gave it.
        key: Identifies content, kind and mapping; the same for a copy of the file.
        size: Its end, in the unit of `Block.position`.
        read: From (position, row) on, yields blocks; the last one has ``done`` set. It may be called again.
        fill: Only empty columns of known items are set: the rows are guesses, such as titles from file names.
        volatile: It is read anew each time: its key does not tell whether it has changed.
        used_mapping: Names of the caller's mapping that this table has.
    """

    kind: str
    file: str
    key: str
    size: int
    read: Callable[[int, int], Iterator[Block]]
    fill: bool = False
    volatile: bool = False
    used_mapping: frozenset[str] = field(default_factory=frozenset)


def frame_table(
    *, kind: str, file: str, key: str, frame: pl.DataFrame, rejects: tuple[Reject, ...] = (), fill: bool = False
) -> Table:
    """A table that is already in memory, read in blocks of bounded size.

    Args:
        kind: See `Table`.
        file: See `Table`.
        key: See `Table`.
        frame: All good rows, with ``row``.
        rejects: All others; they go with the first block.
        fill: See `Table`.

    Returns:
        The table; its positions are rows of ``frame``.
    """

    def read(position: int, row: int) -> Iterator[Block]:
        del row
        while True:
            end = min(position + _ROWS_PER_BLOCK, frame.height)
            first = rejects if position == 0 else ()
            yield Block(frame[position:end], first, end, end, done=end == frame.height)
            if end == frame.height:
                return
            position = end

    return Table(kind, file, key, frame.height, read, fill=fill)
