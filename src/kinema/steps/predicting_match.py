"""`kinema predict match`: a table of queries, or of items, becomes a table of the best items for each.

Shape suffixes: N rows of the table, V items, E width.
"""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST
from kinema.errors import ConfigError, DataError
from kinema.settings import Settings
from kinema.sources.whole_tables import read_whole_table
from kinema.steps.bridges import TextQueries
from kinema.steps.dataset import Dataset
from kinema.steps.extracting import encoder_place
from kinema.steps.finetuning import check_apart, write_table
from kinema.steps.matching import query_rows
from kinema.tasks.match_model import MatchModel

_COLUMNS: Final = {"texts": ("query", "text", "q", "search"), "items": ("item", "item_id", "id")}
_BLOCK: Final = 256


def load_matcher(place: Path) -> MatchModel:
    """Read a matcher.

    Args:
        place: ``artifacts/match/texts``, ``artifacts/match/items``, or ``artifacts/match`` for the first.

    Raises:
        NotBuiltError: There is none.
        StaleArtifactError: It is of another kind or version, or damaged.
    """
    return MatchModel.load(place if (place / MANIFEST).is_file() else place / "texts")


def predict_match(
    *, model: MatchModel, table: Path, to: Path, dataset: Dataset, settings: Settings, folder: Path, num_items: int = 10
) -> int:
    """Write the best items of each row.

    Args:
        model: From `load_matcher`.
        table: With a column ``query``, or ``item`` for a model of items.
        to: ``.parquet``, ``.jsonl`` or else CSV: the column, ``position`` from 0, ``item`` (``answer`` beside a column ``item``)
            and ``score``, the cosine.
        dataset: One reading of the project whose items are ranked.
        settings: Of the project.
        folder: Of the project.
        num_items: Per row, >= 1.

    Returns:
        Rows written. An item does not answer itself, hidden items answer nothing.

    Raises:
        ConfigError: The answers would overwrite the table.
        DataError: The table cannot be read, lacks the column, or names an unknown item.
    """
    frame, _ = read_whole_table(table)
    check_apart(table, to)
    names = _COLUMNS[model.what]
    column = next((one for one in names if one in frame.columns), "")
    if not column:
        raise DataError(f"'{table.name}' must have a column {names[0]}, has {', '.join(frame.columns)}; rename one")
    texts = ["" if one is None else str(one) for one in frame[column].to_list()]
    rows_VE = model.items(dataset.features)
    own_N = None
    if model.what == "texts":
        queries = TextQueries(encoder_place(settings.encoders.text, folder), settings.runtime.device)
        _check_encoder(model, queries)
        asked_NE = query_rows(model, queries, [" ".join(text.split()) for text in texts])
    else:
        own_N = _item_numbers(texts, dataset.item_ids, table)
        asked_NE = model.ask.rows(dataset.features)[own_N]
    answers = _best(asked_NE, rows_VE, own_N, dataset.hidden_V, num_items)
    told = "answer" if column == "item" else "item"
    ids = dataset.item_ids
    rows = [
        {column: texts[number], "position": position, told: ids[item], "score": score}
        for number, some in enumerate(answers)
        for position, (item, score) in enumerate(some)
    ]
    schema = {column: pl.String, "position": pl.Int64, told: pl.String, "score": pl.Float64}
    write_table(pl.DataFrame(rows, schema=schema), table=table, to=to)
    return len(rows)


def _check_encoder(model: MatchModel, queries: TextQueries) -> None:
    if queries.fingerprint != model.encoders["text"]:
        raise ConfigError(
            f"[encoders] text must be the encoder that the matcher has learnt with ({model.encoders['text']}), is "
            f"{queries.fingerprint or 'empty'}; run: kinema extract, then: kinema finetune match"
        )


def _item_numbers(texts: list[str], item_ids: list[str], table: Path) -> NDArray[np.int64]:
    numbers = {one: place for place, one in enumerate(item_ids)}
    for place, text in enumerate(texts):
        if text not in numbers:
            raise DataError(
                f"'{table.name}' must name items of the catalogue, has '{text}' in row {place + 1}; correct it"
            )
    return np.array([numbers[text] for text in texts], dtype=np.int64)


def _best(
    asked_NE: NDArray[np.float32],
    rows_VE: NDArray[np.float32],
    own_N: NDArray[np.int64] | None,
    hidden_V: NDArray[np.bool_],
    num: int,
) -> list[list[tuple[int, float]]]:
    """Items and cosines of each row, best first; ties go to the lower number."""
    found = []
    barred_V = hidden_V | ~rows_VE.any(axis=1)
    for start in range(0, len(asked_NE), _BLOCK):
        scores_NV = asked_NE[start : start + _BLOCK] @ rows_VE.T
        scores_NV[:, barred_V] = -np.inf
        if own_N is not None:
            mine = own_N[start : start + _BLOCK]
            scores_NV[np.arange(len(mine)), mine] = -np.inf
        for scores_V in scores_NV:
            order = np.argsort(-scores_V, kind="stable")[:num].tolist()
            found.append([(item, float(scores_V[item])) for item in order if np.isfinite(scores_V[item])])
    return found
