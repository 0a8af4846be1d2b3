"""Click prediction on Frappe and on MovieLens-1M's click form.

    python benchmarks/click_prediction.py frappe
    python benchmarks/click_prediction.py ml-1m

- ``frappe``: the official validation and test rows of AFN's split; the negatives of the training rows are drawn again, as the
  official ones are not to be had (their contexts and all positives are exact).
- ``ml-1m``: rating 3 dropped, label = rating >= 4, 8 : 1 : 1 at random with seed 2024; user and item ids alone, then with
  titles (words), genres and user features added one after the other: from the beginning, and starting from the model without them.

Settings are compared on validation with seed 0; what won runs with seeds 0 to 2 and is reported on test. Test numbers of all runs
are kept, none plays a part in a choice. A run is kept in ``results/click.json`` as soon as it is done, and is not made again.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy must come before the numeric libraries
import polars as pl  # noqa: E402

from datasets import data_root  # noqa: E402
from kinema.evaluation.environment import run_facts  # noqa: E402
from kinema.sources.whole_tables import read_whole_table  # noqa: E402
from kinema.tasks.click import ClickLearner, ClickModel, load_click_model, measures, probabilities, read_labels  # noqa: E402
from kinema.tasks.click_networks import ClickConfig  # noqa: E402
from kinema.tasks.click_start import start_from  # noqa: E402
from kinema.tasks.field_specs import FieldSpec, parse_spec  # noqa: E402
from kinema.tasks.fields import fit_fields  # noqa: E402
from kinema.training.fitting import FitOptions, fit  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "click.json"
SPLIT_SEED: Final = 2024
SEEDS: Final = (0, 1, 2)
NOTES: Final = {
    "frappe": "official valid and test rows; train negatives re-drawn",
    "ml-1m": f"rating 3 dropped, label = rating >= 4, random 8:1:1, split seed {SPLIT_SEED}",
}


@dataclass(frozen=True)
class Setting:
    """One thing to try.

    Attributes:
        name: Unique within a set and an input.
        config: Network.
        batch_size: Rows per step.
        learning_rate: Step size of the first round.
        patience: Epochs without gain before a round ends.
        after: Input whose model of the same seed it starts from.
    """

    name: str
    config: ClickConfig
    batch_size: int = 4096
    learning_rate: float = 1e-3
    patience: int = 2
    after: str | None = None


Tables = dict[str, pl.DataFrame]


def frappe() -> Tables:
    """Train, valid and test."""
    files = {"train": "train_redrawn_negatives", "valid": "valid", "test": "test"}
    return {name: read_whole_table(data_root() / "frappe_x1" / f"{file}.csv.gz")[0] for name, file in files.items()}


def ml_1m() -> Tables:
    """Train, valid and test, with all columns that any input wants."""
    folder = data_root() / "ml-1m"
    with np.load(folder / "ml1m_ratings_no_timestamp.npz") as arrays:
        rated = pl.DataFrame({"user": arrays["user"], "item": arrays["movie"], "rating": arrays["rating"]})
    rated = rated.cast({"user": pl.Int64, "item": pl.Int64}).filter(pl.col("rating") != 3)
    films = _lines(folder / "movies.dat", ("item", "title", "genres")).with_columns(
        year=pl.col("title").str.extract(r"\((\d{4})\)\s*$"),
        title=pl.col("title").str.to_lowercase().str.replace_all(r"\(\d{4}\)|[^\p{L}\d ]", " "),
    )
    users = _lines(folder / "users.dat", ("user", "gender", "age", "occupation", "zip"))
    whole = rated.join(films, on="item", how="left").join(users, on="user", how="left")
    whole = whole.with_columns(label=(pl.col("rating") >= 4).cast(pl.Int8)).drop("rating")
    order = np.random.default_rng(SPLIT_SEED).permutation(whole.height)
    tenth = whole.height // 10
    parts = {"test": order[:tenth], "valid": order[tenth : 2 * tenth], "train": order[2 * tenth :]}
    return {name: whole[rows] for name, rows in parts.items()}


def _lines(path: Path, names: tuple[str, ...]) -> pl.DataFrame:
    rows = [line.split("::") for line in path.read_text(encoding="latin-1").splitlines()]
    return pl.DataFrame(rows, schema=list(names), orient="row").with_columns(pl.col(names[0]).cast(pl.Int64))


def specs_of(*texts: str) -> list[FieldSpec]:
    """As `kinema finetune click --field` takes them."""
    return [parse_spec(text) for text in texts]


_TITLES: Final = ("title=list,separator= ", "year=category")
_USERS: Final = ("gender=category", "age=category", "occupation=category", "zip=category")
_FRAPPE: Final = ("user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city")
INPUTS: Final[dict[str, dict[str, list[FieldSpec]]]] = {
    "frappe": {
        "10 fields": specs_of(*(f"{name}=category" for name in _FRAPPE)),
        "10 fields, user x item": specs_of(*(f"{name}=category" for name in _FRAPPE), "pair=cross,of=user+item"),
    },
    "ml-1m": {
        "ids": specs_of("user=category", "item=category"),
        "+ titles": specs_of("user=category", "item=category", *_TITLES),
        "+ genres": specs_of("user=category", "item=category", *_TITLES, "genres=list"),
        "+ user features": specs_of("user=category", "item=category", *_TITLES, "genres=list", *_USERS),
    },
}

_DEEP: Final = ClickConfig(embedding_l2=0.1)
_FILMS: Final = ClickConfig(model="fm", hidden=(128, 64), width=16)
_FACTORS: Final = tuple(Setting(f"fm, L2 {l2:g}", replace(_FILMS, embedding_l2=l2), 8192, 3e-3) for l2 in (1e-5, 3e-6))
_DEEP_FILMS: Final = Setting("deepfm, L2 .002", replace(_FILMS, model="deepfm", embedding_l2=0.002), 8192, 3e-3)
_ADDED: Final = replace(_FACTORS[1], name="fm, L2 3e-06, from the model without", learning_rate=1e-3)
SETTINGS: Final[dict[str, dict[str, tuple[Setting, ...]]]] = {
    "frappe": {
        "10 fields": (
            Setting("deepfm, L2 .1", _DEEP),
            Setting("deepfm, L2 .2", replace(_DEEP, embedding_l2=0.2)),
            Setting("dcn, L2 .1", replace(_DEEP, model="dcn")),
        ),
        "10 fields, user x item": (Setting("deepfm, L2 .1", _DEEP),),
    },
    "ml-1m": {
        "ids": (
            *_FACTORS,
            Setting("deepfm, L2 1e-5", replace(_FILMS, model="deepfm", embedding_l2=1e-5), 8192, 3e-3),
            _DEEP_FILMS,
        ),
        "+ titles": (*_FACTORS, replace(_ADDED, after="ids")),
        "+ genres": (_FACTORS[1], replace(_ADDED, after="+ titles")),
        "+ user features": (_FACTORS[1], replace(_ADDED, after="+ genres")),
    },
}
READERS: Final = {"frappe": frappe, "ml-1m": ml_1m}


def train(tables: Tables, name: str, inputs: str, setting: Setting, *, start: Path | None, seed: int) -> dict[str, Any]:
    """One run: what validation and test say."""
    specs = INPUTS[name][inputs]
    fields = fit_fields(tables["train"], specs)
    rows = {name: (fields.apply(frame), read_labels(frame, "label")) for name, frame in tables.items()}
    learner = ClickLearner(setting.config, fields, train=rows["train"], valid=rows["valid"], seed=seed)
    if start is not None:
        start_from(learner.clicks, fields, load_click_model(start))
    options = FitOptions(
        "auc",
        batch_size=setting.batch_size,
        learning_rate=setting.learning_rate,
        max_epochs=40,
        patience=setting.patience,
        refine=0.1,
    )
    report = fit(learner, options, seed=seed)
    if any(one.after == inputs for others in SETTINGS[name].values() for one in others):
        model = ClickModel(setting.config, fields, learner.clicks, "label", {})
        model.save(model_folder(name, inputs, setting, seed), seed=seed)
    return {
        "valid": {name: round(value, 5) for name, value in report.metrics.items()},
        "test": {
            name: round(value, 5)
            for name, value in measures(rows["test"][1], probabilities(learner.clicks, rows["test"][0])).items()
        },
        "best_epoch": report.best_epoch,
        "epochs": report.epochs,
        "seconds": round(report.seconds, 1),
        "parameters": sum(one.numel() for one in learner.network.parameters()),
        "setting": json.loads(json.dumps(asdict(setting))),
    }


def model_folder(name: str, inputs: str, setting: Setting, seed: int) -> Path:
    """Of a model that another may start from; outside of the repository."""
    return Path(tempfile.gettempdir()) / "kinema-click-models" / f"{name} {inputs} {setting.name} {seed}"


def wanted(name: str, runs: dict[str, Any]) -> Iterator[tuple[str, Setting, int]]:
    """The runs of a set in order: for each input its settings with seed 0, then the other seeds of the one that won."""
    for inputs, settings in SETTINGS[name].items():
        for setting in settings:
            yield inputs, setting, 0
        for seed in SEEDS[1:]:
            yield inputs, chosen(name, inputs, runs), seed


def chosen(name: str, inputs: str, runs: dict[str, Any]) -> Setting:
    """Of the settings that have run with seed 0, the one with the best AUC on validation."""
    done = [one for one in SETTINGS[name][inputs] if key(inputs, one, 0) in runs]
    return max(done, key=lambda one: runs[key(inputs, one, 0)]["valid"]["auc"])


def key(inputs: str, setting: Setting, seed: int) -> str:
    """Of a run in the result."""
    return f"{inputs} / {setting.name} / seed {seed}"


def saved() -> dict[str, Any]:
    """What earlier runs have written."""
    found: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
    return found


def write(name: str, place: dict[str, Any]) -> None:
    """The numbers of a set beside those of others, and a table of all for people."""
    results = {**saved(), name: place}
    RESULT.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    lines = ["# Click prediction", ""]
    for one_set, found in results.items():
        lines += [f"## {one_set}", "", f"{found['note']}. {found['machine']}, {found['date']}.", ""]
        lines += ["Compared on validation, seed 0:", "", "| input | setting | AUC | log loss | epochs | s |"]
        lines += ["|---|---|---|---|---|---|", *_compared_rows(one_set, found["runs"]), ""]
        lines += ["Test, the setting that is best on validation:", ""]
        lines += ["| input | setting | seeds | AUC | log loss | parameters |", "|---|---|---|---|---|---|"]
        lines += [*_test_rows(one_set, found["runs"]), ""]
    RESULT.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")


def _compared_rows(name: str, runs: dict[str, Any]) -> Iterator[str]:
    for inputs, settings in SETTINGS[name].items():
        for setting in settings:
            if (run := runs.get(key(inputs, setting, 0))) is not None:
                auc, loss = (f"{run['valid'][metric]:.4f}" for metric in ("auc", "log_loss"))
                yield f"| {inputs} | {setting.name} | {auc} | {loss} | {run['epochs']} | {run['seconds']:.0f} |"


def _test_rows(name: str, runs: dict[str, Any]) -> Iterator[str]:
    for inputs, settings in SETTINGS[name].items():
        if any(key(inputs, one, 0) in runs for one in settings):
            won = chosen(name, inputs, runs)
            done = [run for seed in SEEDS if (run := runs.get(key(inputs, won, seed)))]
            aucs = [run["test"]["auc"] for run in done]
            spread = f" ({min(aucs):.4f} to {max(aucs):.4f})" if len(aucs) > 1 else ""
            auc, loss = statistics.mean(aucs), statistics.mean(run["test"]["log_loss"] for run in done)
            size = f"{done[0]['parameters']:,}"
            yield f"| {inputs} | {won.name} | {len(done)} | {auc:.4f}{spread} | {loss:.4f} | {size} |"


def main() -> None:
    """Make the runs that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", choices=list(READERS))
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="Of what has won.")
    options = parser.parse_args()
    for name in options.sets:
        facts = run_facts(command=f"python benchmarks/click_prediction.py {name}", seed=0)
        place = saved().get(name, {"runs": {}})
        place |= {"note": NOTES[name], "date": facts["date"], "versions": facts["versions"]}
        place["machine"] = f"{facts['machine']}, {os.environ.get('OMP_NUM_THREADS', 'all')} threads"
        tables = READERS[name]()
        for inputs, setting, seed in wanted(name, place["runs"]):
            here = key(inputs, setting, seed)
            if here in place["runs"] or seed >= options.seeds:
                continue
            runs, after = place["runs"], setting.after
            start = None if after is None else model_folder(name, after, chosen(name, after, runs), seed)
            runs[here] = train(tables, name, inputs, setting, start=start, seed=seed)
            print(name, here, place["runs"][here]["valid"], flush=True)
            write(name, place)


if __name__ == "__main__":
    main()
