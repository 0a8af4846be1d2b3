"""`kinema finetune text` and `kinema predict text`: a table of texts with labels becomes a classifier, which labels another table.

Shape suffixes: N texts, C classes, B examples of one step.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl

from kinema.artifacts import Manifest, read_manifest, sha256_file, write_artifact
from kinema.encoders.weights import PACKAGED
from kinema.progress import Progress, silent
from kinema.schema import Reject
from kinema.seeds import generator
from kinema.sources.whole_tables import read_whole_table
from kinema.steps.finetuning import write_table
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.text_changes import TextChanges, changer, translated
from kinema.steps.text_rows import (
    TextColumns,
    TextRows,
    check_columns,
    find_classes,
    number_rows,
    read_tables,
    texts_of,
)
from kinema.tasks.delta_reading import DELTA_FOLDER
from kinema.tasks.text_classifier import HEAD, TextClassifier, TextLearner, load_text_classifier, text_metrics
from kinema.tasks.text_tokens import LabelledTexts
from kinema.training.fit_options import FitOptions
from kinema.training.parameter_choice import Choice, Chosen, choose
from kinema.training.parameter_delta import DeltaFacts, put_on, save_delta
from kinema.training.text_learning import RATES

KIND: Final = "text-classifier"
FORMAT_VERSION: Final = 1
REMEDY: Final = "kinema finetune text"
OPTIONS: Final[Mapping[str, Any]] = {"metric": "log_loss", "schedule": "linear", "warmup_share": 0.1, "clip_norm": 1.0}
"""Of `kinema.training.fitting.FitOptions`; ``learning_rate`` is what is usual for what learns, the rest goes by the number of rows."""
USUAL: Final = Choice("lora")
"""What learns where nothing else is said."""
_UPDATES: Final = 400
_BATCHES: Final = (16, 32)
_MANY_ROWS: Final = 4000
_EPOCHS: Final = (3, 12)


@dataclass(frozen=True)
class TextTraining:
    """What a text classifier is made of, and how its texts are read.

    Attributes:
        encoder: Packaged name, folder or hub name.
        head: ``linear`` over [CLS], ``lstm`` over all tokens.
        changes: How texts are said differently in training.
        max_tokens: Longer texts are cut.
    """

    encoder: str = "packaged:minilm"
    head: Literal["linear", "lstm"] = "linear"
    changes: TextChanges = TextChanges()  # noqa: RUF009  # frozen
    max_tokens: int = 128


@dataclass(frozen=True)
class TextReport:
    """What `finetune_text` did.

    Attributes:
        folder: The artefact.
        classes: Labels, in the order of their numbers.
        num_rows: Table -> rows.
        metrics: ``valid``, and ``test`` where there is one: ``accuracy``, ``log_loss``, of two classes ``auc``; and
            ``most_common``, the accuracy of always saying the most common label of the training rows.
        best_epoch: Epochs done when validation was best.
        epochs: Done in all.
        delta: What was stored of the network.
        num_all: Numbers of the whole network.
        seconds: Of everything.
        notices: What a person should know.
        rejects: Lines that could not be read.
    """

    folder: Path
    classes: tuple[str, ...]
    num_rows: Mapping[str, int]
    metrics: Mapping[str, Mapping[str, float]]
    best_epoch: int
    epochs: int
    delta: DeltaFacts
    num_all: int
    seconds: float
    notices: tuple[str, ...]
    rejects: tuple[Reject, ...]


def finetune_text(
    *,
    train: Path,
    folder: Path,
    columns: TextColumns | None = None,
    valid: Path | None = None,
    test: Path | None = None,
    training: TextTraining | None = None,
    plan: FitPlan | None = None,
) -> TextReport:
    """Learn labels of texts or of pairs of texts, and write what was learnt without the encoder.

    Args:
        train: CSV, JSON lines or Parquet, with texts and labels.
        folder: Of the artefact.
        columns: Which columns count; None for ``text`` and ``label``.
        valid: Rows that decide when to stop; without it a tenth of the training rows, drawn at random.
        test: Rows to measure on, once, at the end.
        training: What is made and read; None for the default.
        plan: How it learns, its seed that of drawn rows too; None for the task's own way, which is `OPTIONS` and `usual_length`. Its network are settings
            of `kinema.training.parameter_choice.Choice`.

    Returns:
        The report.

    Raises:
        ConfigError: The encoder cannot be loaded, or cannot take what is to learn.
        DataError: A file, column or label is not what it must be.
    """
    started = time.perf_counter()
    columns, training, plan = columns or TextColumns(), training or TextTraining(), plan or FitPlan()
    plan.network(USUAL), plan.options(**OPTIONS)  # what is wrong is said before tables are read
    tables = {"train": train, "valid": valid, "test": test}
    told = read_texts(tables, columns, training, seed=plan.seed, progress=plan.progress)
    rows, classes = told.rows, told.classes
    made = told.made(plan)
    learner, sets, chosen = made.learner, made.sets, made.chosen
    fitted = plan.fit(learner, made.options, examples=made.facts)
    metrics: dict[str, dict[str, float]] = {
        name: text_metrics(sets[name].labels_N, learner.predict(sets[name]))
        | {"most_common": _most_common(rows["train"].labels, rows[name].labels)}
        for name in ("valid", "test")
        if name in sets
    }
    config = {
        "encoder": _settled(training.encoder),
        "head": training.head,
        "classes": list(classes),
        "columns": asdict(columns),
        "max_tokens": training.max_tokens,
        "metrics": metrics,
    }
    parents = {"theta": chosen.theta, "train": sha256_file(train)[:16]}
    with write_artifact(
        folder, kind=KIND, format_version=FORMAT_VERSION, config=config, seed=plan.seed, parents=parents
    ) as draft:
        facts = save_delta(chosen, draft / DELTA_FOLDER)
    return TextReport(
        folder=folder,
        classes=classes,
        num_rows={name: len(one.labels) for name, one in rows.items()},
        metrics=metrics,
        best_epoch=fitted.report.best_epoch,
        epochs=fitted.report.epochs,
        delta=facts,
        num_all=chosen.num_all,
        seconds=time.perf_counter() - started,
        notices=(*told.notices, *fitted.notices),
        rejects=told.rejects,
    )


@dataclass(frozen=True)
class MadeText:
    """A text classifier as a plan asks for it, before it has learnt.

    Attributes:
        learner: Changed by training.
        options: Of training.
        chosen: What learns.
        sets: Table -> its texts as tokens.
        facts: What a run is about, for its fingerprint.
    """

    learner: TextLearner
    options: FitOptions
    chosen: Chosen
    sets: Mapping[str, LabelledTexts]
    facts: tuple[Any, ...]


@dataclass(frozen=True)
class TextExamples:
    """Texts with labels, ready to be learnt from.

    Attributes:
        rows: Table -> its rows.
        learning: Rows that are learnt from: those of ``train``, some of them once more in other words.
        classes: Labels, in the order of their numbers.
        training: What is made, and how texts are read.
        notices: What a person should know.
        rejects: Lines that could not be read.
    """

    rows: Mapping[str, TextRows]
    learning: TextRows
    classes: tuple[str, ...]
    training: TextTraining
    notices: tuple[str, ...]
    rejects: tuple[Reject, ...]

    def made(self, plan: FitPlan) -> MadeText:
        """The task as a plan asks for it; test is no part of what it learns from or looks at.

        Raises:
            ConfigError: The plan names what there is not, or the encoder cannot be loaded or cannot take what is to learn.
        """
        choice, training, learning = plan.network(USUAL), self.training, self.learning
        usual = usual_length(len(self.rows["train"].labels))
        options = plan.options(**OPTIONS, **usual, learning_rate=RATES[choice.method])
        network, tokenizer = _load(training.encoder, training.head, len(self.classes), seed=plan.seed)
        encoder: Any = network.encoder
        vectors_VD = encoder.get_input_embeddings().weight.detach().numpy()
        chosen = choose(network, choice, heads=(HEAD,), seed=plan.seed)
        read = {**self.rows, "train": learning}
        sets = {name: one.tokens(tokenizer, max_tokens=training.max_tokens) for name, one in read.items()}
        texts = [*learning.firsts, *(learning.seconds or ())]
        change = changer(training.changes, tokenizer, vectors_VD, texts)
        again = None if change is None else _again(learning, change, tokenizer, max_tokens=training.max_tokens)
        learner = TextLearner(network, sets["train"], sets["valid"], changed=again)
        said = () if change is None else (training.changes.synonyms, training.changes.table, texts)
        facts = (*_facts(chosen, training, self.classes, sets), *said)
        return MadeText(learner, options, chosen, sets, facts)


def read_texts(
    tables: Mapping[str, Path | None],
    columns: TextColumns,
    training: TextTraining,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> TextExamples:
    """Read tables.

    Args:
        tables: ``train``, and perhaps ``valid`` and ``test``.
        columns: Which columns count.
        training: What is made, and how texts are read.
        seed: Of rows that are drawn.
        progress: Told what takes long.

    Raises:
        DataError: A file, column or label is not what it must be.
    """
    frames, rejects, notices = read_tables(tables, columns, seed=seed)
    classes = find_classes(frames["train"], columns)
    rows = {name: number_rows(frame, columns, classes, name) for name, frame in frames.items()}
    learning, more = _more_rows(rows["train"], training.changes, seed, progress)
    return TextExamples(rows, learning, classes, training, (*notices, *more), rejects)


def usual_length(num_rows: int) -> dict[str, int]:
    """How long a classifier learns where nobody says: enough steps, however few rows there are.

    Three epochs of 32, as is usual, are 24 steps of 250 rows, and the step size falls to nothing over them: labels were right, and
    hardly more was said for them than for the others.

    Args:
        num_rows: To learn from.

    Example:
        >>> usual_length(250), usual_length(50_000)
        ({'batch_size': 16, 'max_epochs': 12, 'patience': 3}, {'batch_size': 32, 'max_epochs': 3, 'patience': 2})
    """
    batch_size = _BATCHES[num_rows >= _MANY_ROWS]
    fewest, most = _EPOCHS
    epochs = max(fewest, min(most, math.ceil(_UPDATES * batch_size / max(num_rows, 1))))
    return {"batch_size": batch_size, "max_epochs": epochs, "patience": max(2, epochs // 4)}


def predict_text(*, folder: Path, table: Path, to: Path) -> int:
    """Write a table with a label for each row and its probability.

    Args:
        folder: A model of `finetune_text`.
        table: Rows with the columns it has learnt from; the label need not be there.
        to: ``.parquet``, ``.jsonl`` or else CSV: all columns of the table, ``predicted`` and ``predicted_prob``.

    Returns:
        The number of rows.

    Raises:
        NotBuiltError: There is no such model.
        StaleArtifactError: The encoder is not the one it was learnt on.
        ConfigError: The result would overwrite the table, or is CSV and a column cannot be written as such.
        DataError: The table cannot be read, or a column is missing.
    """
    manifest = read_model(folder)
    columns, classes = TextColumns(**manifest.config["columns"]), list(manifest.config["classes"])
    frame, _ = read_whole_table(table)
    check_columns(frame, [columns.text, *filter(None, [columns.pair])], "prediction")
    network, tokenizer = load_network(manifest)
    put_on(network, folder / DELTA_FOLDER)
    blank = [0] * frame.height
    texts = TextRows(texts_of(frame, columns.text), texts_of(frame, columns.pair) if columns.pair else None, blank)
    tokens = texts.tokens(tokenizer, max_tokens=manifest.config["max_tokens"])
    probs_NC = TextLearner(network, tokens, tokens).predict(tokens)
    best_N = probs_NC.argmax(axis=1)
    told = {
        "predicted": pl.Series("predicted", [classes[one] for one in best_N.tolist()], pl.String),
        "predicted_prob": pl.Series("predicted_prob", probs_NC[np.arange(len(best_N)), best_N], pl.Float32),
    }
    write_table(frame.with_columns(**told), table=table, to=to)
    return frame.height


def read_model(folder: Path) -> Manifest:
    """The manifest of a text classifier.

    Raises:
        NotBuiltError: There is none.
        StaleArtifactError: It is of another kind or version.
    """
    return read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy=REMEDY)


def load_network(manifest: Manifest) -> tuple[TextClassifier, Any]:
    """The network of a text classifier before its delta is put on, and its tokenizer.

    Args:
        manifest: Of `read_model`.
    """
    config = manifest.config
    return _load(config["encoder"], config["head"], len(config["classes"]), seed=0)


def _load(name: str, head: str, num_classes: int, *, seed: int) -> tuple[TextClassifier, Any]:
    return load_text_classifier(name, head="lstm" if head == "lstm" else "first", num_classes=num_classes, seed=seed)


def _settled(name: str) -> str:
    """A folder by its whole path, since a prediction may be asked for from elsewhere; other names as they are."""
    return str(Path(name).resolve()) if not name.startswith(PACKAGED) and Path(name).is_dir() else name


def _facts(
    chosen: Chosen, training: TextTraining, classes: Sequence[str], sets: Mapping[str, LabelledTexts]
) -> tuple[Any, ...]:
    """What a run is about, for its fingerprint: which encoder, what learns, and the texts as it reads them."""
    found: list[Any] = []
    for name in ("train", "valid"):
        one = sets[name]
        found += [one.tokens_T, [] if one.kinds_T is None else one.kinds_T, one.offsets_N1, one.labels_N]
    return ("text", chosen.theta, asdict(chosen.choice), training.head, training.max_tokens, list(classes), *found)


def _more_rows(rows: TextRows, changes: TextChanges, seed: int, progress: Progress) -> tuple[TextRows, tuple[str, ...]]:
    """The training rows, and some of them once more in other words."""
    if not changes.translate:
        return rows, ()
    random = generator(seed, "back-translation")
    progress(0, 1, "translate there and back")
    firsts = translated(changes, rows.firsts, random)
    seconds = None if rows.seconds is None else translated(changes, rows.seconds, random)
    new = [
        place
        for place in range(len(rows.labels))
        if firsts[place] != rows.firsts[place]
        or (rows.seconds is not None and seconds is not None and seconds[place] != rows.seconds[place])
    ]
    added = TextRows(
        rows.firsts + [firsts[place] for place in new],
        None if rows.seconds is None or seconds is None else rows.seconds + [seconds[place] for place in new],
        rows.labels + [rows.labels[place] for place in new],
    )
    return added, (f"{len(new):,} training rows are there once more, translated there and back",)


def _again(rows: TextRows, change: Any, tokenizer: Any, *, max_tokens: int) -> Any:
    """Rows of a step in other words, split into tokens anew."""

    def changed(rows_B: np.ndarray[Any, np.dtype[np.int64]], draws: Any) -> LabelledTexts:
        random = np.random.default_rng(int(draws.some(1 << 31, 1)))
        places = rows_B.tolist()
        firsts = [change(rows.firsts[place], random) for place in places]
        seconds = None if rows.seconds is None else [change(rows.seconds[place], random) for place in places]
        return TextRows(firsts, seconds, [rows.labels[place] for place in places]).tokens(
            tokenizer, max_tokens=max_tokens
        )

    return changed


def _most_common(train: Sequence[int], asked: Sequence[int]) -> float:
    return float(np.mean(np.asarray(asked) == np.bincount(np.asarray(train)).argmax()))
