"""Tables of texts with labels, for `kinema finetune text`: which columns count, and what a label's number is.

Shape suffixes: none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from kinema.errors import DataError
from kinema.schema import Reject
from kinema.seeds import generator
from kinema.sources.whole_tables import read_whole_table
from kinema.tasks.text_tokens import LabelledTexts, label_texts

_HELD_OUT: Final = 0.1
_MOST_CLASSES: Final = 1000


@dataclass(frozen=True)
class TextColumns:
    """Which columns of a table count.

    Attributes:
        text: The text, or the first one of a pair.
        pair: The second one; empty for single texts.
        label: The label.
    """

    text: str = "text"
    pair: str = ""
    label: str = "label"


@dataclass(frozen=True)
class TextRows:
    """Texts of one table with the numbers of their labels.

    Attributes:
        firsts: Texts, or the first ones of pairs.
        seconds: The second ones; None for single texts.
        labels: Numbers of the classes.
    """

    firsts: list[str]
    seconds: list[str] | None
    labels: list[int]

    def tokens(self, tokenizer: Any, *, max_tokens: int) -> LabelledTexts:
        """Split into tokens, those of a pair together."""
        return label_texts(tokenizer, self.firsts, self.seconds, self.labels, max_tokens=max_tokens)


def read_tables(
    paths: Mapping[str, Path | None], columns: TextColumns, *, seed: int
) -> tuple[dict[str, pl.DataFrame], tuple[Reject, ...], list[str]]:
    """Tables by name, rows without a label left out; bad lines, and notes."""
    frames: dict[str, pl.DataFrame] = {}
    rejects: tuple[Reject, ...] = ()
    notices: list[str] = []
    for name, path in paths.items():
        if path is None:
            continue
        whole, bad = read_whole_table(path)
        rejects += bad
        check_columns(whole, [columns.text, *filter(None, [columns.pair]), columns.label], name)
        frames[name] = whole.filter(pl.col(columns.label).is_not_null())
        if frames[name].height < whole.height:
            notices.append(f"{whole.height - frames[name].height:,} rows of {name} have no label and are left out")
    if rejects:
        notices.append(f"{len(rejects)} lines could not be read and are left out")
    if "valid" not in frames:
        whole = frames["train"]
        order = generator(seed, "held-out rows").permutation(whole.height)
        size = max(1, round(_HELD_OUT * whole.height))
        frames |= {"train": whole[np.sort(order[size:])], "valid": whole[np.sort(order[:size])]}
        notices.append(f"no validation table: {size:,} training rows, drawn at random, stand in")
    return frames, rejects, notices


def check_columns(frame: pl.DataFrame, names: Sequence[str], table: str) -> None:
    """Refuse a table without these columns.

    Raises:
        DataError: One is missing.
    """
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise DataError(
            f"{table} table must have the column '{missing[0]}', has {', '.join(frame.columns)}; name another with --text, "
            "--pair or --label"
        )


def find_classes(frame: pl.DataFrame, columns: TextColumns) -> tuple[str, ...]:
    """Labels of the training rows in order: numbers by value, others by letters."""
    found = frame[columns.label].cast(pl.String).unique().drop_nulls().to_list()
    if not 2 <= len(found) <= _MOST_CLASSES:
        raise DataError(
            f"label '{columns.label}' must have 2 to {_MOST_CLASSES} values in the training rows, has {len(found)}; "
            "choose another column with --label"
        )
    numbers = pl.Series(found).cast(pl.Float64, strict=False)
    return tuple(sorted(found) if numbers.has_nulls() else [found[place] for place in numbers.arg_sort()])


def number_rows(frame: pl.DataFrame, columns: TextColumns, classes: Sequence[str], table: str) -> TextRows:
    """Texts of a table with the numbers of their labels.

    Raises:
        DataError: A label is none of the classes.
    """
    number_of = {name: number for number, name in enumerate(classes)}
    labels = frame[columns.label].cast(pl.String).to_list()
    strange = next((one for one in labels if one not in number_of), None)
    if strange is not None:
        raise DataError(
            f"{table} table: label must be one of the {len(classes)} of the training rows, one is '{strange}'; "
            "leave such rows out, or give the training table some"
        )
    seconds = texts_of(frame, columns.pair) if columns.pair else None
    return TextRows(texts_of(frame, columns.text), seconds, [number_of[one] for one in labels])


def texts_of(frame: pl.DataFrame, column: str) -> list[str]:
    """A column of texts; a missing one is empty."""
    return frame[column].cast(pl.String).fill_null("").to_list()
