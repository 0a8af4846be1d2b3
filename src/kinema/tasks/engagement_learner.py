"""Engagement ready to learn: labels with gaps, one loss per head, what validation says of each.

Shape suffixes: N rows, B rows of a step, K thresholds, H heads.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kinema.errors import DataError
from kinema.flm.draws import Draws
from kinema.metrics.classification import auc
from kinema.metrics.regression import mae
from kinema.tasks.engagement import EngagementConfig, EngagementModel, WatchScale, fresh_network
from kinema.tasks.engagement_labels import WATCH, EngagementLabels
from kinema.tasks.watch_time import DurationGroups, ordinal_thresholds

_CHUNK: Final = 8192


class EngagementLearner:
    """Rows with labels, those to learn from and those held out.

    Args:
        inputs: A `kinema.tasks.row_inputs.RowInput`; becomes part of the network and learns with it.
        labels: Of all rows that the input numbers.
        train_rows: Rows to learn from; groups of duration come from them alone.
        valid_rows: Rows held out.
        config: What is learnt.
        seed: Of the first parameters.

    Attributes:
        network: `kinema.tasks.engagement.EngagementNetwork`.
        num_examples: Rows to learn from.

    Raises:
        DataError: A head has no label, or none among the rows of training or of validation.
    """

    def __init__(
        self,
        inputs: nn.Module,
        labels: EngagementLabels,
        *,
        train_rows: NDArray[np.integer],
        valid_rows: NDArray[np.integer],
        config: EngagementConfig,
        seed: int = 0,
    ) -> None:
        self._labels, self._config = labels.only(config.heads), config
        self._train, self._valid = np.asarray(train_rows, np.int64), np.asarray(valid_rows, np.int64)
        for head in config.heads:
            for name, rows in (("training", self._train), ("validation", self._valid)):
                if not labels.known(head)[rows].any():
                    raise DataError(f"head '{head}' must have labels in {name}, has none there; leave the head out")
        self.network = fresh_network(inputs, config, seed=seed)
        self.num_examples = len(self._train)
        self._groups, self._scale = self._fit_watch()
        self._targets = {head: torch.from_numpy(self._target(head)) for head in config.heads}
        self._constants = {head: self._constant_loss(head) for head in config.heads}

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """The heads' losses, each the mean over the rows whose label is known, combined by the weighting."""
        rows = torch.from_numpy(self._train[rows_B])
        told = self.network(rows, draws)
        losses_H = []
        for head in self._config.heads:
            target_B = self._targets[head][rows]
            known_B = ~target_B.isnan()
            each_B = self._each(head, told[head], target_B.nan_to_num(0.0))
            losses_H.append((each_B * known_B).sum() / known_B.sum().clamp(min=1))
        loss: Tensor = self.network.weighting(
            torch.stack(losses_H), shared=self.network.shared_parameters(), draws=draws
        )
        return loss

    def validate(self) -> Mapping[str, float]:
        """What the held-out rows say.

        Returns:
            ``<head>.log_loss`` and ``<head>.auc`` of a binary head; ``watch.loss`` and, in seconds, ``watch.mae``; ``auc``,
            the mean over heads; and ``loss``, the weighted mean of the losses, each in parts of what the best constant
            has: below 1 says that something was learnt.
        """
        losses = {head: float(np.nanmean(each_N)) for head, each_N in self.row_losses().items()}
        told = self.model().predict(self._valid, duration_ms_N=self._durations(self._valid))
        found: dict[str, float] = {}
        for head, loss in losses.items():
            here_N = self._labels.known(head)[self._valid]
            rows = self._valid[here_N]
            if head == WATCH:
                assert self._labels.watch_ms_N is not None
                watch_ms = self._labels.watch_ms_N[rows]
                found |= {"watch.loss": loss, "watch.mae": mae(told["watch_ms"][here_N], watch_ms) / 1000}
            else:
                labels = self._labels.binary[head][rows]
                found |= {f"{head}.log_loss": loss, f"{head}.auc": auc(told[head][here_N], labels)}
        aucs = [value for name, value in found.items() if name.endswith(".auc") and np.isfinite(value)]
        if aucs:
            found["auc"] = float(np.mean(aucs))
        weights_H = np.array(self._config.loss_weights)
        relative_H = [loss / self._constants[head] for head, loss in losses.items()]
        found["loss"] = float(weights_H @ np.array(relative_H) / weights_H.sum())
        return found

    def embeddings(self) -> Sequence[nn.Parameter]:
        """Tables of the input."""
        tables = [one for one in self.network.inputs.modules() if isinstance(one, nn.Embedding)]
        return [one for table in tables for one in table.parameters()]

    def model(self) -> EngagementModel:
        """The network as it is, to predict with."""
        return EngagementModel(self._config, self.network, self._groups, self._scale)

    def row_losses(self) -> dict[str, NDArray[np.float32]]:
        """Head -> loss of each held-out row, float32 in their order; not a number where the label is missing.

        Two models on the same rows are compared pair by pair (`kinema.steps.engagement`).
        """
        parts: dict[str, list[Tensor]] = {head: [] for head in self._config.heads}
        with torch.inference_mode():
            for start in range(0, len(self._valid), _CHUNK):
                rows = torch.from_numpy(self._valid[start : start + _CHUNK])
                told = self.network(rows)
                for head, found in parts.items():
                    target_B = self._targets[head][rows]
                    each_B = self._each(head, told[head], target_B.nan_to_num(0.0))
                    found.append(each_B.masked_fill(target_B.isnan(), torch.nan))
        return {head: torch.cat(found).numpy() for head, found in parts.items()}

    def relative_losses(self) -> NDArray[np.float64]:
        """What each held-out row adds to ``loss`` of `validate`, float64 [N]: their mean is that number."""
        weights_H = np.array(self._config.loss_weights)
        parts = []
        losses = self.row_losses()
        for head, weight in zip(self._config.heads, weights_H / weights_H.sum(), strict=True):
            each_N = losses[head]
            share = np.isfinite(each_N).mean()
            parts.append(weight * np.nan_to_num(each_N, nan=0.0) / (self._constants[head] * share))
        return np.asarray(np.sum(parts, axis=0), dtype=np.float64)

    def _each(self, head: str, told: Tensor, target_B: Tensor) -> Tensor:
        """Loss of each row."""
        if head != WATCH:
            return functional.binary_cross_entropy_with_logits(told, target_B, reduction="none")
        if self._config.watch == "ordinal":
            above_BK = (target_B.unsqueeze(1) > ordinal_thresholds(told.shape[1])).to(told.dtype)
            return functional.binary_cross_entropy_with_logits(told, above_BK, reduction="none").mean(dim=1)
        return (told - target_B).square()

    def _fit_watch(self) -> tuple[DurationGroups | None, WatchScale]:
        """Groups of duration and the scale of a regression, from the training rows."""
        watch_ms_N, duration_ms_N = self._labels.watch_ms_N, self._labels.duration_ms_N
        if watch_ms_N is None or duration_ms_N is None:
            return None, WatchScale()
        rows = self._train[self._labels.known(WATCH)[self._train]]
        watch_ms = watch_ms_N[rows].astype(np.float64)
        groups = DurationGroups.fit(watch_ms, duration_ms_N[rows], num_groups=self._config.num_groups)
        return groups, WatchScale(float(watch_ms.mean()), float(watch_ms.std()) or 1.0)

    def _target(self, head: str) -> NDArray[np.float32]:
        """float32 [N], the label as it is learnt; not a number where it is missing."""
        if head != WATCH:
            return self._labels.binary[head].astype(np.float32)
        watch_ms_N, duration_ms_N = self._labels.watch_ms_N, self._labels.duration_ms_N
        assert watch_ms_N is not None
        assert duration_ms_N is not None
        assert self._groups is not None
        if self._config.watch == "regression":
            return ((watch_ms_N - self._scale.mean_ms) / self._scale.deviation_ms).astype(np.float32)
        known_N = self._labels.known(WATCH)
        target_N = np.full(len(watch_ms_N), np.nan, dtype=np.float32)
        target_N[known_N] = self._groups.quantile(watch_ms_N[known_N], duration_ms_N[known_N])
        return target_N

    def _constant_loss(self, head: str) -> float:
        """Loss of the best constant on the training rows, never 0."""
        target = self._targets[head][torch.from_numpy(self._train)]
        target = target[~target.isnan()]
        if head == WATCH and self._config.watch != "ordinal":
            return max(float(target.var(correction=0)), 1e-6)
        columns = target.unsqueeze(1)
        if head == WATCH:
            columns = (columns > ordinal_thresholds(self._config.num_thresholds)).float()
        share_K = columns.mean(dim=0)
        return max(float(functional.binary_cross_entropy(share_K, share_K)), 1e-6)

    def _durations(self, rows: NDArray[np.int64]) -> NDArray[np.floating] | None:
        """Those of some rows; a video of unknown length counts as one of the shortest."""
        durations_N = self._labels.duration_ms_N
        return None if durations_N is None else np.nan_to_num(durations_N[rows], nan=0.0)
