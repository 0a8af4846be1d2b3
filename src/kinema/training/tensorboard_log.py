"""A run in TensorBoard: curves, histograms of weights, tables in the projector, settings beside results, the graph."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from kinema.extras import require
from kinema.tasks.task import Learner
from kinema.training.fit_options import FitOptions
from kinema.training.fit_report import FitReport

_GRAPH_ROWS: Final = 2


class TensorBoardLog:
    """Writes what TensorBoard shows; a `FitWatcher`. Look at it with ``tensorboard --logdir FOLDER``.

    An interrupted run that goes on writes into the same folder, and what it does again replaces what was there.

    Args:
        folder: Of this run.
        learner: What is trained.
        options: How; shown among the hyper-parameters.
        every: Updates between two points of the curves of loss, rate and gradient.
        most_rows: Of each table in the projector; from a larger one evenly spaced rows are taken.
        labels: For each table its rows' names; None shows their numbers.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """

    def __init__(
        self,
        folder: Path,
        learner: Learner,
        options: FitOptions,
        *,
        every: int = 10,
        most_rows: int = 2000,
        labels: Sequence[Sequence[str]] | None = None,
    ) -> None:
        require("tensorboard")
        self._folder, self._learner, self._options = folder, learner, options
        self._every, self._most_rows, self._labels = every, most_rows, labels
        self._writer: Any = None

    def updated(self, update: int, numbers: Mapping[str, float]) -> None:
        """Points of the curves over updates."""
        if self._writer is None:
            self._open(update)
        if update % self._every == 0:
            for name, value in numbers.items():
                self._writer.add_scalar(f"update/{name}", value, update)

    def looked(self, curve: Sequence[Mapping[str, Any]]) -> None:
        """Points of the curves over epochs, histograms of what learns."""
        if self._writer is None:
            self._open(None)
        entry = curve[-1]
        for name, value in entry.items():
            if name != "epoch" and np.isfinite(value):
                self._writer.add_scalar(f"epoch/{name}", value, entry["epoch"])
        for name, one in self._learner.network.named_parameters():
            if one.requires_grad and one.numel():
                self._writer.add_histogram(name.replace(".", "/"), one.detach().float().cpu().numpy(), entry["epoch"])

    def finished(self, report: FitReport) -> None:
        """Tables, settings with results, the graph."""
        if self._writer is None:
            self._open(None)
        for number, table in enumerate(self._learner.embeddings()):
            self._project(number, table.detach())
        settings = {
            name: value if isinstance(value, int | float | str) else str(value)
            for name, value in asdict(self._options).items()
        }
        results = {f"best/{name}": value for name, value in report.metrics.items() if np.isfinite(value)}
        self._writer.add_hparams(settings, results, run_name="settings")
        trouble = self._draw()
        if trouble:
            self._writer.add_text("graph", f"not drawn: {trouble}")
        self._writer.close()
        self._writer = None

    def _open(self, purge_step: int | None) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter  # noqa: PLC0415  # needs the extra

        self._writer = SummaryWriter(str(self._folder), purge_step=purge_step)

    def _project(self, number: int, table_VD: Tensor) -> None:
        if table_VD.dim() != 2 or table_VD.shape[1] < 2:
            return
        rows = np.unique(np.linspace(0, len(table_VD) - 1, min(len(table_VD), self._most_rows)).astype(np.int64))
        labels = self._labels[number] if self._labels is not None else None
        names = [str(row) if labels is None else labels[row] for row in rows.tolist()]
        self._writer.add_embedding(table_VD[torch.from_numpy(rows)].cpu(), metadata=names, tag=f"table-{number}")

    def _draw(self) -> str:
        """Draw the graph of a small batch's loss; returns why that did not work, or nothing."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self._writer.add_graph(_Loss(self._learner), torch.zeros(1))
            except Exception as error:  # noqa: BLE001  # whatever a network does that cannot be traced, training is done
                return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return ""


class _Loss(nn.Module):
    """The loss of a few examples as a module, which is what can be traced.

    Args:
        learner: Whose loss.
    """

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        self.network = learner.network
        self._learner = learner

    def forward(self, nothing: Tensor) -> Tensor:
        """The loss; the argument is only there because a trace must have one."""
        rows = np.arange(min(_GRAPH_ROWS, self._learner.num_examples))
        return self._learner.loss(rows, None) + nothing.sum()
