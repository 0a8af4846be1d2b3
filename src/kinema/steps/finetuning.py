"""`kinema finetune click` and `kinema predict click`: from files to a model, and from a model to scores."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST, sha256_file
from kinema.errors import ConfigError, DataError
from kinema.schema import Reject
from kinema.seeds import generator
from kinema.sources.whole_tables import read_whole_table
from kinema.steps.finetuning_options import FitPlan
from kinema.tasks.click import ClickLearner, ClickModel, load_click_model, measures, probabilities, read_labels
from kinema.tasks.click_networks import ClickConfig, usual_l2
from kinema.tasks.click_start import start_from
from kinema.tasks.field_specs import FieldSpec, complete_specs
from kinema.tasks.fields import FieldRows, Fields, fit_fields
from kinema.training.fitting import FitOptions

SCORE: Final = "click_prob"
_HELD_OUT: Final = 0.1
_STEPS_PER_EPOCH: Final = 50
_BATCHES: Final = (64, 4096)
_FEWEST: Final = 4
MIN_COUNT: Final = 2


@dataclass(frozen=True)
class ClickReport:
    """What `finetune_click` did.

    Attributes:
        folder: The artefact.
        model: Name of the network.
        metrics: ``valid``, and ``test`` where there is one: ``auc`` and ``log_loss`` of the best state.
        best_epoch: Epochs done when it was reached.
        epochs: Done in all.
        seconds: Of reading, training and measuring.
        num_parameters: Learnt numbers, and how many of them are vectors of values.
        num_rows: Rows per table.
        fields: Name, kind, whether it was guessed, and how many values were listed.
        notices: What a person should know.
        rejects: Lines that could not be read.
    """

    folder: Path
    model: str
    metrics: Mapping[str, Mapping[str, float]]
    best_epoch: int
    epochs: int
    seconds: float
    num_parameters: Mapping[str, int]
    num_rows: Mapping[str, int]
    fields: tuple[Mapping[str, str | int | bool], ...]
    notices: tuple[str, ...]
    rejects: tuple[Reject, ...]


def finetune_click(
    *,
    train: Path,
    label: str,
    folder: Path,
    valid: Path | None = None,
    test: Path | None = None,
    specs: Sequence[FieldSpec] = (),
    min_count: int = MIN_COUNT,
    start: Path | None = None,
    plan: FitPlan | None = None,
) -> ClickReport:
    """Learn the probability of a click from a table and write the model.

    The best state by AUC on validation is kept; the test table is looked at once, at the end.

    Args:
        train: CSV, JSON lines or Parquet, with the label.
        label: Its column, 0 or 1.
        folder: Of the artefact.
        valid: Rows that decide when to stop; without it a tenth of the training rows, drawn at random.
        test: Rows to measure on.
        specs: What columns are, where the guess is not wanted.
        min_count: Rows a value must be in to have a vector of its own.
        start: An earlier model, whose vectors are kept for the values that both know.
        plan: How; None for the task's own way. Its network are settings of `kinema.tasks.click_networks.ClickConfig`.

    Returns:
        The report.

    Raises:
        ConfigError: Settings that do not fit, or nothing to keep of the earlier model.
        NotBuiltError: There is no earlier model there.
        DataError: A file, column or cell is not what it must be.
    """
    started, plan = time.perf_counter(), plan or FitPlan()
    clicks = read_table_clicks(
        {"train": train, "valid": valid, "test": test}, label=label, specs=specs, min_count=min_count, seed=plan.seed
    )
    learner, options, config = clicks.ready(plan)
    notices, parents = list(clicks.notices), {"train": sha256_file(train)[:16]}
    if start is not None:
        same = start_from(learner.clicks, clicks.fields, load_click_model(start))
        notices.append(f"starts from {start}: {same:,} of {clicks.fields.num_rows:,} vectors are its own")
        parents["start"] = sha256_file(start / MANIFEST)[:16]
    fitted = plan.fit(learner, options, examples=(*clicks.facts, parents))
    report = fitted.report
    metrics: dict[str, Mapping[str, float]] = {"valid": report.metrics}
    outcome = {"best_epoch": report.best_epoch, "epochs": report.epochs}
    told = {**outcome, "valid": dict(report.metrics)}
    model = ClickModel(config, clicks.fields, learner.clicks.eval(), label, told)
    if test is not None:
        rows, labels_N = clicks.rows["test"]
        metrics["test"] = measures(labels_N, probabilities(model.network, rows))
    model.save(folder, seed=plan.seed, parents=parents)
    return ClickReport(
        folder=folder,
        model=config.model,
        metrics=metrics,
        seconds=time.perf_counter() - started,
        num_parameters=_sizes(learner),
        num_rows={name: len(labels_N) for name, (_, labels_N) in clicks.rows.items()},
        fields=_field_facts(clicks.fields, specs),
        notices=(*notices, *fitted.notices),
        rejects=clicks.rejects,
        **outcome,
    )


@dataclass(frozen=True)
class TableClicks:
    """The rows of tables, ready to be learnt from.

    Attributes:
        fields: Fitted on the training table.
        rows: ``train``, ``valid`` and, where it was given, ``test`` -> rows and their labels.
        notices: What a person should know.
        rejects: Lines that could not be read.
        facts: What a run is about, for its fingerprint.
    """

    fields: Fields
    rows: Mapping[str, tuple[FieldRows, NDArray[np.float32]]]
    notices: tuple[str, ...]
    rejects: tuple[Reject, ...]
    facts: tuple[Any, ...]

    @property
    def defaults(self) -> dict[str, Any]:
        """Options that the task takes by itself: a step is a fiftieth of the rows, within bounds."""
        low, high = _BATCHES
        batch_size = max(low, min(high, len(self.rows["train"][1]) // _STEPS_PER_EPOCH))
        return {"metric": "auc", "batch_size": batch_size, "max_epochs": 30, "refine": 0.1}

    def ready(self, plan: FitPlan) -> tuple[ClickLearner, FitOptions, ClickConfig]:
        """The task as a plan asks for it; test is no part of it.

        Raises:
            ConfigError: The plan names what there is not, or a step would have too few rows.
        """
        usual = ClickConfig(model=str(plan.asked.network.get("model", ClickConfig().model)))
        # How far long vectors cost depends on the network.
        config = plan.network(replace(usual, embedding_l2=usual_l2(usual.model)))
        options = plan.options(**self.defaults)
        if options.batch_size < _FEWEST:
            raise ConfigError(
                f"batch_size must be >= {_FEWEST}, is {options.batch_size}; batch norm needs rows to compare"
            )
        rows = {name: self.rows[name] for name in ("train", "valid")}
        return ClickLearner(config, self.fields, **rows, seed=plan.seed), options, config


def read_table_clicks(
    paths: Mapping[str, Path | None], *, label: str, specs: Sequence[FieldSpec], min_count: int, seed: int
) -> TableClicks:
    """Read tables; arguments and errors of `finetune_click`.

    Args:
        paths: ``train``, ``valid`` and ``test`` -> file, None where there is none.
        label: See there.
        specs: See there.
        min_count: See there.
        seed: Of the held-out tenth.
    """
    tables, rejects, notices = _read_tables(paths, seed=seed)
    labels = {name: _labels(frame, label, name) for name, frame in tables.items()}
    found = complete_specs(tables["train"], specs, label=label)
    notices += _left_out(found, specs)
    fields = fit_fields(tables["train"], found, min_count=min_count)
    rows = {name: (fields.apply(frame), labels[name]) for name, frame in tables.items()}
    digests = {name: sha256_file(path) for name in ("train", "valid") if (path := paths.get(name)) is not None}
    facts = ("click_table", digests, label, [repr(one) for one in found], min_count)
    return TableClicks(fields, rows, tuple(notices), rejects, facts)


def _left_out(found: Sequence[FieldSpec], said: Sequence[FieldSpec]) -> list[str]:
    """A note on columns that the guess leaves out."""
    names = [spec.name for spec in found if spec.kind == "ignore" and spec not in said]
    return [f"left out, as their values hardly repeat or are absent: {', '.join(names)}"] if names else []


def _field_facts(fields: Fields, said: Sequence[FieldSpec]) -> tuple[Mapping[str, str | int | bool], ...]:
    return tuple(
        {
            "name": one.spec.name,
            "kind": one.spec.kind,
            "guessed": one.spec not in said,
            "values": one.spec.buckets or len(one.vocabulary),
        }
        for one in fields.fields
    )


def _read_tables(
    paths: Mapping[str, Path | None], *, seed: int
) -> tuple[dict[str, pl.DataFrame], tuple[Reject, ...], list[str]]:
    """Tables by name, with a held-out one for validation where none is given; bad lines, and notes."""
    tables: dict[str, pl.DataFrame] = {}
    rejects: tuple[Reject, ...] = ()
    for name, path in paths.items():
        if path is not None:
            tables[name], bad = read_whole_table(path)
            rejects += bad
    notices = [f"{len(rejects)} lines could not be read and are left out"] if rejects else []
    if "valid" not in tables:
        whole = tables["train"]
        order = generator(seed, "held-out rows").permutation(whole.height)
        size = max(1, round(_HELD_OUT * whole.height))
        tables |= {"train": whole[np.sort(order[size:])], "valid": whole[np.sort(order[:size])]}
        notices.append(f"no validation table: {size:,} training rows, drawn at random, stand in")
    return tables, rejects, notices


def _labels(frame: pl.DataFrame, label: str, name: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Labels of one table, which must have both kinds."""
    try:
        found = read_labels(frame, label)
    except DataError as error:
        raise DataError(f"{name} table: {error}") from error
    if found.min(initial=1) == found.max(initial=0):
        raise DataError(
            f"{name} table: label '{label}' must be 1 in some of its {len(found)} rows and 0 in others, is always the same; "
            "give it more rows"
        )
    return found


def _sizes(learner: ClickLearner) -> dict[str, int]:
    total = sum(one.numel() for one in learner.network.parameters())
    return {"all": total, "vectors": learner.clicks.vectors.table.numel()}


def predict_click(*, folder: Path, table: Path, to: Path) -> int:
    """Write a table with its probabilities.

    Args:
        folder: A model of `finetune_click`.
        table: Rows with the columns it has learnt from.
        to: ``.parquet``, ``.jsonl`` or else CSV: all columns of the table, and ``click_prob``.

    Returns:
        The number of rows.

    Raises:
        NotBuiltError: There is no such model.
        ConfigError: The result would overwrite the table, or is CSV and a column cannot be written as such.
        DataError: The table cannot be read, or a column is not what the model needs.
    """
    model = load_click_model(folder)
    frame, _ = read_whole_table(table)
    write_table(frame.with_columns(pl.Series(SCORE, model.predict(frame), dtype=pl.Float32)), table=table, to=to)
    return frame.height


def write_table(scored: pl.DataFrame, *, to: Path, table: Path | None = None) -> None:
    """Write what was predicted.

    Args:
        scored: Rows with what was predicted of them.
        to: ``.parquet``, ``.jsonl`` or else CSV.
        table: Where the rows were read from, if they were.

    Raises:
        ConfigError: Both are one file, or it is CSV and a column cannot be written as such.
    """
    if table is not None:
        check_apart(table, to)
    to.parent.mkdir(parents=True, exist_ok=True)
    if to.suffix.lower() == ".parquet":
        scored.write_parquet(to)
    elif to.suffix.lower() in {".jsonl", ".ndjson"}:
        scored.write_ndjson(to)
    else:
        _flat(scored).write_csv(to)


def check_apart(table: Path, to: Path) -> None:
    """Refuse to write over the table that is read.

    Raises:
        ConfigError: Both are one file.
    """
    if to.exists() and to.samefile(table):
        raise ConfigError(f"--to must be another file than --table, is '{to}' too; name a new one")


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Lists as a|b|c, for a CSV file."""
    for name, kind in frame.schema.items():
        if kind.is_nested() and (not isinstance(kind, pl.List) or kind.inner.is_nested()):
            raise ConfigError(
                f"--to must be a .parquet or .jsonl file for column '{name}', which a CSV file cannot hold"
            )
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List)]
    return frame.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join("|") for name in lists)
