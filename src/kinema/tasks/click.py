"""The click task: the probability of a click, like or purchase from the columns of any table.

Shape suffixes: N rows of a table, B rows of a batch, F single-valued fields, L length of a list.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from kinema.artifacts import read_manifest, write_artifact
from kinema.errors import DataError
from kinema.flm.draws import Draws
from kinema.metrics.classification import auc, log_loss
from kinema.seeds import derive_seed
from kinema.tasks.click_layers import NOTHING, ClickBatch
from kinema.tasks.click_networks import ClickConfig, ClickNetwork
from kinema.tasks.field_cells import numbers
from kinema.tasks.fields import FieldRows, Fields, fields_from_json

KIND: Final = "click"
FORMAT_VERSION: Final = 1
_FIELDS: Final = "fields.json"
_NETWORK: Final = "network.safetensors"
_ROWS_AT_ONCE: Final = 8192


def read_labels(frame: pl.DataFrame, label: str) -> NDArray[np.float32]:
    """The label's column as 0 and 1.

    Args:
        frame: A table.
        label: Name of the column.

    Returns:
        float32 [N].

    Raises:
        DataError: There is no such column, or a cell is neither 0 nor 1, neither true nor false.

    Example:
        >>> read_labels(pl.DataFrame({"clicked": ["1", "false"]}), "clicked").tolist()
        [1.0, 0.0]
    """
    if label not in frame.columns:
        raise DataError(
            f"the table must have the label '{label}', has: {', '.join(frame.columns)}; name another with: --label COLUMN"
        )
    column = frame[label]
    if column.dtype == pl.String:
        column = column.str.strip_chars().str.to_lowercase().replace({"true": "1", "false": "0"})
    values = numbers(column.alias(label))
    bad = np.flatnonzero((values != 0) & (values != 1))
    if len(bad):
        raise DataError(
            f"label '{label}' must be 0 or 1, is {frame[label][int(bad[0])]} in row {bad[0] + 1}; "
            "correct it, or drop the rows without a label"
        )
    return values.astype(np.float32)


def batch_of(rows: FieldRows, wanted_B: NDArray[np.int64] | slice) -> ClickBatch:
    """Some rows of a table as a network takes them.

    Args:
        rows: The table.
        wanted_B: Which.
    """
    rows_BF = torch.from_numpy(rows.rows_NF[wanted_B]).long()
    scales_BF = None if rows.scales_NF is None else torch.from_numpy(rows.scales_NF[wanted_B])
    return ClickBatch(rows_BF, scales_BF, tuple(_padded(*one, wanted_B) for one in rows.lists))


def _padded(offsets: NDArray[np.int64], entries: NDArray[np.int32], wanted_B: NDArray[np.int64] | slice) -> Tensor:
    starts_B, lengths_B = offsets[:-1][wanted_B], np.diff(offsets)[wanted_B]
    longest = max(1, int(lengths_B.max(initial=0)))
    places_BL = np.arange(longest) + starts_B[:, None]
    present_BL = np.arange(longest) < lengths_B[:, None]
    found_BL = np.full(present_BL.shape, NOTHING, dtype=np.int64)
    found_BL[present_BL] = entries[places_BL[present_BL]]
    return torch.from_numpy(found_BL)


def click_network(config: ClickConfig, fields: Fields, *, seed: int) -> ClickNetwork:
    """A network for these fields.

    Args:
        config: Which.
        fields: Of its inputs.
        seed: Of its first weights; torch's own generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "click network"))
        return ClickNetwork(config, num_rows=fields.num_rows, num_single=len(fields.single), targets=fields.targets)


def probabilities(network: ClickNetwork, rows: FieldRows) -> NDArray[np.float32]:
    """Probability of a click for each row, float32 [N]; the network is put into evaluation mode."""
    network.eval()
    num_rows = len(rows.rows_NF)
    with torch.inference_mode():
        parts = [
            torch.sigmoid(network(batch_of(rows, slice(start, start + _ROWS_AT_ONCE)))).numpy()
            for start in range(0, num_rows, _ROWS_AT_ONCE)
        ]
    found: NDArray[np.float32] = np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)
    return found


def measures(labels_N: NDArray[np.float32], probabilities_N: NDArray[np.float32]) -> dict[str, float]:
    """``auc`` and ``log_loss``."""
    return {"auc": auc(probabilities_N, labels_N), "log_loss": log_loss(probabilities_N, labels_N)}


class ClickLearner:
    """Click prediction, ready to learn: a `kinema.tasks.task.Learner`.

    With ``embedding_l2`` 0 and a large table, a step costs the rows it touches; else AdamW moves every row at every step. See
    docs/tasks-click.md for what that costs.

    Args:
        config: What to learn.
        fields: Fitted on the training table.
        train: Rows and their labels.
        valid: Rows and their labels.
        seed: Of the first weights.
    """

    def __init__(
        self,
        config: ClickConfig,
        fields: Fields,
        *,
        train: tuple[FieldRows, NDArray[np.float32]],
        valid: tuple[FieldRows, NDArray[np.float32]],
        seed: int = 0,
    ) -> None:
        self.config = config
        self.clicks = click_network(config, fields, seed=seed)
        self.network: nn.Module = self.clicks
        self._rows, self._labels_N = train
        self._valid, self._valid_labels_N = valid
        self.num_examples = len(self._labels_N)

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Mean log loss of some rows, and the price of long vectors."""
        odds_B = self.clicks(batch_of(self._rows, rows_B), draws)
        loss = functional.binary_cross_entropy_with_logits(odds_B, torch.from_numpy(self._labels_N[rows_B]))
        if self.config.embedding_l2:
            loss = loss + self.config.embedding_l2 / 2 * self.clicks.vectors.table.square().sum()
        return loss

    def validate(self) -> Mapping[str, float]:
        """``auc`` and ``log_loss`` on the validation rows."""
        return measures(self._valid_labels_N, probabilities(self.clicks, self._valid))

    def embeddings(self) -> Sequence[nn.Parameter]:
        """The table of vectors."""
        return (self.clicks.vectors.table,)


@dataclass(frozen=True)
class ClickModel:
    """A trained click network with the fields it reads.

    Attributes:
        config: Of the network.
        fields: Of its inputs.
        network: In evaluation mode.
        label: Column it has learnt to predict.
        report: What training came to, for people.
    """

    config: ClickConfig
    fields: Fields
    network: ClickNetwork
    label: str
    report: Mapping[str, Any]

    def predict(self, frame: pl.DataFrame) -> NDArray[np.float32]:
        """Probability of a click for each row of a table.

        Args:
            frame: With the columns the model has learnt from; a label is not needed.

        Returns:
            float32 [N], in the order of the rows.

        Raises:
            DataError: A column is missing, or its cells are not what they were in training.
        """
        return probabilities(self.network, self.fields.apply(frame))

    def save(self, folder: Path, *, seed: int, parents: Mapping[str, str] | None = None) -> None:
        """Write the artefact.

        Args:
            folder: Where; what was there is replaced.
            seed: Of the run.
            parents: Name -> fingerprint of what it was made from.
        """
        config = {**asdict(self.config), "label": self.label, "report": dict(self.report)}
        with write_artifact(
            folder, kind=KIND, format_version=FORMAT_VERSION, config=config, seed=seed, parents=parents
        ) as draft:
            (draft / _FIELDS).write_text(json.dumps(self.fields.to_json(), ensure_ascii=False) + "\n", encoding="utf-8")
            save_file({name: one.contiguous() for name, one in self.network.state_dict().items()}, draft / _NETWORK)


def load_click_model(folder: Path) -> ClickModel:
    """Read what `ClickModel.save` wrote.

    Args:
        folder: The artefact.

    Raises:
        NotBuiltError: There is none.
        StaleArtifactError: It is of another kind or version, or damaged.
    """
    manifest = read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy="kinema finetune click")
    saved = dict(manifest.config)
    label, report = saved.pop("label"), saved.pop("report")
    config = ClickConfig(**{**saved, "hidden": tuple(saved["hidden"])})
    fields = fields_from_json(json.loads((folder / _FIELDS).read_text(encoding="utf-8")))
    network = click_network(config, fields, seed=0)
    network.load_state_dict(load_file(folder / _NETWORK))
    return ClickModel(config, fields, network.eval(), label, report)
