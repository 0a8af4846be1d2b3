"""An engagement model is trained and, on wish, compared with a model per head: does sharing help here?

Shape suffixes: N held-out rows.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from kinema.errors import DataError
from kinema.progress import Progress, silent
from kinema.seeds import derive_seed
from kinema.steps.finetuning_options import FitPlan
from kinema.tasks.engagement import EngagementConfig, EngagementModel
from kinema.tasks.engagement_labels import EngagementLabels
from kinema.tasks.engagement_learner import EngagementLearner
from kinema.training.fitting import FitOptions, FitReport, fit


@dataclass(frozen=True)
class HeadComparison:
    """One head of a shared model beside a model of its own, on the same held-out rows.

    Attributes:
        head: Its name.
        shared_loss: Mean loss in the shared model.
        single_loss: Mean loss in the model of its own.
        gain: How much less the shared one has: mean over rows of the difference.
        error: Standard error of the gain, rows taken as independent.
    """

    head: str
    shared_loss: float
    single_loss: float
    gain: float
    error: float

    @property
    def verdict(self) -> str:
        """``helps``, ``hurts`` or, within two standard errors, ``no difference``."""
        if abs(self.gain) <= 2 * self.error:
            return "no difference"
        return "helps" if self.gain > 0 else "hurts"

    def __str__(self) -> str:
        return (
            f"{self.head}: sharing {self.verdict if self.verdict != 'no difference' else 'makes no difference'} "
            f"(loss {self.shared_loss:.4f} shared, {self.single_loss:.4f} alone, gain {self.gain:+.4f} +- {self.error:.4f})"
        )


@dataclass(frozen=True)
class TrainedEngagement:
    """What training an engagement model gave.

    Attributes:
        model: To serve.
        report: Of its training.
        comparison: Head -> beside a model of its own; empty where it was not asked for.
        notices: What a person should know.
    """

    model: EngagementModel
    report: FitReport
    comparison: Mapping[str, HeadComparison] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """One line per head, and what to do where sharing hurts; empty without comparison."""
        lines = [str(one) for one in self.comparison.values()]
        hurt = [head for head, one in self.comparison.items() if one.verdict == "hurts"]
        if hurt:
            lines.append(f"train {', '.join(hurt)} alone, or try sharing 'ple' or weighting 'conflicts'")
        return "\n".join(lines)


def train_engagement(
    inputs: nn.Module,
    labels: EngagementLabels,
    *,
    train_rows: NDArray[np.integer],
    valid_rows: NDArray[np.integer],
    config: EngagementConfig,
    options: FitOptions,
    plan: FitPlan | None = None,
    examples: Sequence[Any] = (),
    compare: bool = False,
    seed: int | None = None,
    progress: Progress = silent,
) -> TrainedEngagement:
    """Train one model for all heads.

    Args:
        inputs: See `EngagementLearner`.
        labels: Of all rows.
        train_rows: To learn from.
        valid_rows: Held out.
        config: What is learnt.
        options: How; the metric ``loss`` weighs all heads.
        plan: Where the run is kept and who watches it; None for nowhere and ``progress``.
        examples: See `FitPlan.fit`.
        compare: Also train a model per head, each with inputs of its own, and compare on the held-out rows: costs as
            many trainings more as there are heads. A head is compared by its loss, never on test.
        seed: Of the first parameters, order and dropout; None for the plan's.
        progress: Told steps, where there is no plan.

    Returns:
        The model, its report and the comparison.
    """
    plan = plan or FitPlan(seed=seed or 0, progress=progress)
    seed = plan.seed if seed is None else seed
    rows = {"train_rows": train_rows, "valid_rows": valid_rows}
    fresh = copy.deepcopy(inputs) if compare else inputs
    learner = EngagementLearner(inputs, labels, **rows, config=config, seed=seed)
    fitted = replace(plan, seed=seed).fit(learner, options, examples=examples)
    found = {}
    if compare:
        shared = learner.row_losses()
        for head in config.heads:
            alone = replace(config, heads=(head,), sharing="separate", weighting="fixed", task_weights={})
            own_seed = derive_seed(seed, f"engagement/{head}")
            single = EngagementLearner(copy.deepcopy(fresh), labels, **rows, config=alone, seed=own_seed)
            fit(single, replace(options, metric="loss", keep_epochs=0), seed=own_seed, progress=plan.progress)
            found[head] = compare_head(head, shared[head], single.row_losses()[head])
    return TrainedEngagement(learner.model(), fitted.report, found, fitted.notices)


def compare_head(head: str, shared_N: NDArray[np.floating], single_N: NDArray[np.floating]) -> HeadComparison:
    """Compare two models' losses row by row.

    Args:
        head: Its name.
        shared_N: Losses of the shared model; not a number where the label is missing.
        single_N: Of the same rows, by the model of its own.

    Raises:
        DataError: The rows are not the same.

    Example:
        >>> compare_head("like", np.array([0.1, 0.2, np.nan]), np.array([0.3, 0.5, np.nan])).verdict
        'helps'
    """
    known_N = np.isfinite(shared_N)
    if not np.array_equal(known_N, np.isfinite(single_N)):
        raise DataError(f"losses of '{head}' must be of the same rows, are not; validate both models on the same rows")
    gaps = (single_N - shared_N)[known_N].astype(np.float64)
    error = float(gaps.std(ddof=1) / np.sqrt(len(gaps))) if len(gaps) > 1 else float("inf")
    return HeadComparison(
        head, float(shared_N[known_N].mean()), float(single_N[known_N].mean()), float(gaps.mean()), error
    )
