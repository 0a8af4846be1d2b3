"""What a search found, in a form for people: what won, by how much, and whether that may be chance.

Shape suffixes: C cases, B resamples.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.evaluation.bootstrap import Interval, percentile_interval, resampled_means
from kinema.store.splits import Cases
from kinema.tuning.search import Found, gains_of
from kinema.tuning.study import TrialRecord

_RESAMPLES: Final = 1000


@dataclass(frozen=True)
class TuningReport:
    """What a search found.

    Attributes:
        trials: Those that are over, in order.
        default: Number of the trial with the default settings.
        best: Number of the best.
        chosen: Number of the one to use: the best, or the default where the best is less than a standard error better.
        gain: Best minus default, NDCG@10 on validation, with the 95 % interval of the paired bootstrap; None where the
            default is the best.
        cases: Validation cases they were compared on.
        seconds: Wall time of the trials.
        budget_seconds: Asked for.
        verdict: One or two sentences.
    """

    trials: tuple[TrialRecord, ...]
    default: int
    best: int
    chosen: int
    gain: Interval | None
    cases: int
    seconds: float
    budget_seconds: float
    verdict: str


def report_on(found: Found, *, cases: Cases, folder: Path, budget_seconds: float, seed: int) -> TuningReport:
    """Compare the best trial with the default on the same cases, and choose between them.

    The best of many is partly the luckiest. On few cases luck is larger than what settings can bring, and most other
    settings are worse than the default; so a gain of less than one standard error is not followed.

    Args:
        found: The search.
        cases: Validation cases that trials were compared on.
        folder: Of the study.
        budget_seconds: Asked for.
        seed: Of the bootstrap.

    Source: the one-standard-error rule of Breiman et al., Classification and Regression Trees, 1984, on paired differences.
    """
    gain, chosen = choose(found, folder=folder, users_C=cases.users_C, seed=seed)
    return TuningReport(
        trials=found.trials,
        default=found.default,
        best=found.best,
        chosen=chosen,
        gain=gain,
        cases=len(cases),
        seconds=found.seconds,
        budget_seconds=budget_seconds,
        verdict=verdict(found, chosen, gain),
    )


def choose(found: Found, *, folder: Path, users_C: NDArray[np.integer], seed: int) -> tuple[Interval | None, int]:
    """The gain of the best trial over the default, and which of the two to use.

    Args:
        found: The search.
        folder: Of the study.
        users_C: Who each validation case is about; a user's cases are drawn together.
        seed: Of the bootstrap.

    Returns:
        The gain, None where the default is the best or where nothing is known per case; and a trial's number. Where
        nothing is known, the best is taken.
    """
    if found.best == found.default:
        return None, found.default
    best_C, default_C = gains_of(folder, found.best), gains_of(folder, found.default)
    if best_C is None or default_C is None:
        return None, found.best
    differences_C = best_C - default_C
    samples_B1 = resampled_means(differences_C[:, None], users_C, num_resamples=_RESAMPLES, seed=seed)
    gain = percentile_interval(float(differences_C.mean()), samples_B1[:, 0])
    return gain, found.best if gain.mean > samples_B1.std() else found.default


def verdict(found: Found, chosen: int, gain: Interval | None, *, metric: str = "NDCG@10", sign: float = 1.0) -> str:
    """What won, by how much, and whether that may be chance.

    Args:
        found: The search.
        chosen: From `choose`.
        gain: The same.
        metric: What was searched for.
        sign: -1 where smaller is better: values and gains are shown as the metric gives them.
    """
    best, default = found.trial(found.best), found.trial(found.default)
    others = len(found.trials) - 1
    if not others:
        return "Only the default settings were tried, so they are kept; give more seconds."
    if found.best == found.default:
        worst = sign * (default.value or 0.0)
        return f"The default settings won: none of {others} other{'s'[: others > 1]} was better on validation than {worst:.4f}."
    value = sign * (best.value or 0.0)
    if gain is None:
        return (
            f"Trial {best.number} won with {metric} {value:.4f} on validation, the default settings have "
            f"{sign * (default.value or 0.0):.4f}. Whether that is chance cannot be said: {metric} is no mean over examples."
        )
    low, high = sorted((sign * gain.low, sign * gain.high))
    against = "over" if sign > 0 else "against"
    measured = (
        f"{metric} {value:.4f} on validation, {sign * gain.mean:+.4f} {against} the default settings (95 % interval {low:+.4f} "
        f"to {high:+.4f})"
    )
    if chosen == found.default:
        return (
            f"The default settings are kept: trial {best.number} had {measured}, a gain of less than a standard error."
        )
    chance = "" if gain.low > 0 else " The gain may be chance."
    return (
        f"Trial {best.number} won with {measured}.{chance} It is the best of {others + 1} on the cases it was chosen by: "
        "expect somewhat less."
    )
