"""A task learns until validation gains no more, then goes on from its best state with smaller steps.

What large steps leave behind in a table of vectors is noise; on click data, smaller steps at the end gain more than most
changes of the network (docs/tasks-click.md).
"""

from collections.abc import Sequence
from dataclasses import replace

from kinema.progress import Progress, silent
from kinema.tasks.measures import lower_is_better
from kinema.tasks.task import Learner
from kinema.training.fitting import FitOptions, FitReport, fit


def fit_and_refine(
    learner: Learner,
    options: FitOptions,
    *,
    shares: Sequence[float] = (1.0, 0.1),
    seed: int = 0,
    progress: Progress = silent,
) -> FitReport:
    """Train in rounds, each from the best state of those before.

    Args:
        learner: Changed in place; ends in the best state of all rounds.
        options: Of every round but for the step size.
        shares: Of the step size, one per round.
        seed: See `fit`.
        progress: Told steps.

    Returns:
        The report of all rounds together; epochs are counted through.

    Raises:
        DataError: See `fit`.
    """
    total: FitReport | None = None
    sign = -1.0 if lower_is_better(options.metric) else 1.0
    for share in shares:
        kept = {name: one.detach().clone() for name, one in learner.network.state_dict().items()}
        found = fit(
            learner,
            replace(options, learning_rate=options.learning_rate * share),
            seed=seed + (total.epochs if total else 0),
            progress=progress,
        )
        if total is None:
            total = found
            continue
        curve = total.curve + tuple({**entry, "epoch": entry["epoch"] + total.epochs} for entry in found.curve)
        better = sign * found.metrics[options.metric] > sign * total.metrics[options.metric]
        if not better:
            learner.network.load_state_dict(kept)
        total = FitReport(
            metrics=found.metrics if better else total.metrics,
            best_epoch=total.epochs + found.best_epoch if better else total.best_epoch,
            epochs=total.epochs + found.epochs,
            seconds=total.seconds + found.seconds,
            curve=curve,
        )
    assert total is not None
    return total
