"""What a search for a task's settings came to, as one page, and as lines for `kinema.toml`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kinema.evaluation.bootstrap import Interval
from kinema.extras import is_installed, require
from kinema.training.task_settings import NETWORK
from kinema.tuning.domains import Choice, Domain
from kinema.tuning.plots import history_plot, importance_plot, slice_plot
from kinema.tuning.study import STUDY, TrialRecord, quiet, storage_of

_MOST_SLICES: Final = 4
_FEWEST_TRIALS: Final = 4
"""Finished trials from which importance says anything at all."""


@dataclass(frozen=True)
class TaskTuning:
    """What a search for a task's settings came to.

    Attributes:
        task: Section of `kinema.toml`.
        metric: What was searched for on validation.
        lower_is_better: Which way.
        trials: Those that are over, in order; values are of opposite sign where smaller is better.
        default: Number of the trial with the default settings.
        best: Number of the best.
        chosen: Number of the one to use.
        gain: Best over default with its 95 % interval, positive where better; None where that cannot be said.
        verdict: One or two sentences.
        settings: Of the chosen trial.
        snippet: The same as lines for `kinema.toml`.
        domains: Setting -> what was searched, in words.
        importances: Setting -> share of what moved the value; empty of too few trials.
        num_valid: Validation examples.
        seconds: Of all trials together.
        workers: Trials at once.
        report: The page.
        written: Whether the snippet is in `kinema.toml` now.
        notices: What a person should know.
    """

    task: str
    metric: str
    lower_is_better: bool
    trials: tuple[TrialRecord, ...]
    default: int
    best: int
    chosen: int
    gain: Interval | None
    verdict: str
    settings: Mapping[str, Any]
    snippet: str
    domains: Mapping[str, str]
    importances: Mapping[str, float]
    num_valid: int
    seconds: float
    workers: int
    report: Path
    written: bool = False
    notices: tuple[str, ...] = field(default_factory=tuple)

    @property
    def sign(self) -> float:
        """-1 where smaller is better."""
        return -1.0 if self.lower_is_better else 1.0

    def shown(self, trial: TrialRecord) -> float | None:
        """A trial's value as the metric gives it; None where there is none."""
        value = trial.value
        return None if value is None or not math.isfinite(value) else self.sign * value


def sections_of(task: str, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Section of `kinema.toml` -> settings in it.

    Example:
        >>> sections_of("click", {"patience": 3, "network.width": 16})
        {'finetune.click': {'patience': 3}, 'finetune.click.network': {'width': 16}}
    """
    prefix = f"{NETWORK}."
    network = {name.removeprefix(prefix): one for name, one in settings.items() if name.startswith(prefix)}
    options = {name: one for name, one in settings.items() if not name.startswith(prefix)}
    found = {f"finetune.{task}": options, f"finetune.{task}.{NETWORK}": network}
    return {section: values for section, values in found.items() if values}


def snippet_of(task: str, settings: Mapping[str, Any]) -> str:
    """Settings as one writes them into `kinema.toml`.

    Example:
        >>> print(snippet_of("click", {"optimizer": "sgd", "network.hidden": [64, 32]}))
        [finetune.click]
        optimizer = "sgd"
        <BLANKLINE>
        [finetune.click.network]
        hidden = [64, 32]
    """
    blocks = []
    for section, values in sections_of(task, settings).items():
        # JSON and TOML write texts, numbers, truth values and lists alike.
        blocks.append("\n".join([f"[{section}]", *(f"{name} = {json.dumps(one)}" for name, one in values.items())]))
    return "\n\n".join(blocks)


def importances_of(folder: Path) -> dict[str, float]:
    """Setting -> share of what moved the value, by PED-ANOVA; empty where trials are too few or all alike.

    Source: Watanabe, Bansal, Hutter, PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
    Subspaces, IJCAI 2023; Optuna's implementation, on finished trials.
    """
    optuna = require("optuna")
    with storage_of(folder) as storage, quiet():
        study = optuna.load_study(study_name=STUDY, storage=storage)
        finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        if len(finished) < _FEWEST_TRIALS or len({one.value for one in finished}) == 1:
            return {}
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found: dict[str, float] = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(one) for name, one in found.items() if math.isfinite(one)}


def write_page(tuning: TaskTuning, domains: Mapping[str, Domain], *, facts: Mapping[str, str]) -> None:
    """Write the page; without matplotlib it has no plots and says so.

    Args:
        tuning: What it tells; also where it is written.
        domains: Setting -> what was searched.
        facts: Of the run, label -> text.
    """
    environment = Environment(
        loader=PackageLoader("kinema.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    plots, slices = _plots(tuning, domains) if is_installed("matplotlib") else ([], [])
    page = environment.get_template("tuning.html.j2").render(
        title=f"Settings of {tuning.task}",
        task=tuning.task,
        verdict=tuning.verdict,
        tiles=_tiles(tuning),
        snippet=tuning.snippet,
        missing="" if plots else "Plots were left out: matplotlib is not installed (pip install 'kinema[report]').",
        plots=plots,
        slices=slices,
        metric=tuning.metric,
        names=list(domains),
        rows=[_row(tuning, one, list(domains)) for one in tuning.trials],
        facts={**facts, **{f"searched {name}": text for name, text in tuning.domains.items()}},
    )
    tuning.report.parent.mkdir(parents=True, exist_ok=True)
    draft = tuning.report.with_name(f".{tuning.report.name}.draft")
    draft.write_text(page, encoding="utf-8")
    draft.replace(tuning.report)


def _tiles(tuning: TaskTuning) -> dict[str, str]:
    ends = [one.state for one in tuning.trials]
    values = {one.number: tuning.shown(one) for one in tuning.trials}
    return {
        f"{tuning.metric}, default": _number(values[tuning.default]),
        f"{tuning.metric}, chosen": _number(values[tuning.chosen]),
        "trials finished": str(ends.count("finished")),
        "given up": str(ends.count("given up")),
        "failed": str(ends.count("failed")),
        "validation examples": f"{tuning.num_valid:,}",
    }


def _plots(tuning: TaskTuning, domains: Mapping[str, Domain]) -> tuple[list[dict[str, Any]], list[Markup]]:
    how: dict[str, Any] = {"metric": tuning.metric, "sign": tuning.sign, "chosen": tuning.chosen}
    better = "smaller" if tuning.lower_is_better else "larger"
    history = Markup(history_plot(tuning.trials, **how))  # noqa: S704  # made here
    plots = [{"svg": history, "caption": f"{tuning.metric} on validation, {better} is better"}]
    finished = sum(one.state == "finished" for one in tuning.trials)
    if tuning.importances:
        caption = f"Importance of settings over {finished} finished trials; below some dozens a rough guess"
        plots.append({"svg": Markup(importance_plot(tuning.importances)), "caption": caption})  # noqa: S704  # made here
    if finished < _FEWEST_TRIALS:
        return plots, []
    order = sorted(domains, key=lambda name: -tuning.importances.get(name, 0.0))
    slices = [
        Markup(slice_plot(tuning.trials, name, domains[name], **how))  # noqa: S704  # made here
        for name in order[:_MOST_SLICES]
    ]
    return plots, slices


def _row(tuning: TaskTuning, trial: TrialRecord, names: list[str]) -> dict[str, Any]:
    roles = {"default": tuning.default, "best": tuning.best, "chosen": tuning.chosen}
    return {
        "number": trial.number,
        "role": ", ".join(role for role, number in roles.items() if number == trial.number),
        "chosen": trial.number == tuning.chosen,
        "state": trial.state,
        "value": _number(tuning.shown(trial)),
        "seconds": f"{trial.seconds:.1f}",
        "settings": [_cell(trial.settings.get(name)) for name in names],
        "reason": trial.reason,
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def in_words(domain: Domain) -> str:
    """A domain for people.

    Example:
        >>> in_words(Choice((1, 2)))
        '1, 2'
    """
    if isinstance(domain, Choice):
        return ", ".join(str(one) for one in domain.values)
    return f"{domain.low:g} to {domain.high:g}{', by factors' if domain.log else ''}"
