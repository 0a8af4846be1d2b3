"""Which parameters of a text encoder have to learn: full, frozen, top layers, LoRA, adapters and prefix on one click task.

    python benchmarks/text_adapting.py [--train 2000] [--test 4000] [--epochs 3] [--methods lora adapter] [--seeds 0]

The task is a town's: title of the clip that a user clicked last, title of a clip shown, clicked or not. In this town topics alone
decide what is liked, and half of the impressions are drawn uniformly, so that there is something to tell apart; titles are
written from topics, and no clip is rendered, since nobody looks. The encoder is the packaged MiniLM under the head of
``BertForSequenceClassification`` (`kinema.tasks.text_classifier`). Pairs before the cut-off are training and, the newest of
them, validation; pairs after it are the test, and a fifth of the clips is published only then. Validation chooses the epoch;
step sizes are usual ones, stand in the results, and were not tuned here.

``processor seconds`` are of one core for the epochs that were run. ``stored`` is the delta alone with the head. Results go to
``results/text_adapting.json`` and ``.md``; methods that are not asked for keep their older rows.
"""

import argparse
import json
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy(num_threads=1)

import numpy as np  # noqa: E402  # the thread policy must come before the numeric libraries
import polars as pl  # noqa: E402
import torch  # noqa: E402

from kinema.seeds import generator  # noqa: E402
from kinema.sources.town.events import simulate  # noqa: E402
from kinema.sources.town.rules import Rules  # noqa: E402
from kinema.sources.town.taste import click_probs, freshness, taste  # noqa: E402
from kinema.sources.town.texts import write_texts  # noqa: E402
from kinema.sources.town.world import World, plan_world  # noqa: E402
from kinema.tasks.click_texts import click_pairs  # noqa: E402
from kinema.tasks.text_classifier import HEAD, TextLearner, load_text_classifier, text_metrics  # noqa: E402
from kinema.tasks.text_tokens import LabelledTexts, label_texts  # noqa: E402
from kinema.training.fitting import FitOptions, fit  # noqa: E402
from kinema.training.parameter_choice import Choice, choose  # noqa: E402
from kinema.training.parameter_delta import save_delta  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "text_adapting.json"
RATES: Final[dict[str, tuple[Choice, float]]] = {
    "full": (Choice("full"), 5e-5),
    "frozen": (Choice("frozen"), 1e-3),
    "top 2 layers": (Choice("top", layers=2), 1e-4),
    "lora": (Choice("lora", rank=8), 5e-4),
    "adapter": (Choice("adapter", width=48), 5e-4),
    "prefix": (Choice("prefix", length=16), 5e-3),
}
"""What learns, and the step size."""


def town(seed: int) -> tuple[pl.DataFrame, World, Rules]:
    """Pairs of a small town in order of time, with the probability that was planted."""
    rules = Rules.planted("topic", uniform_share=0.5, trending_share=0.0)
    world = plan_world(seed=seed, num_clips=400, num_users=600, rules=rules)
    texts = write_texts(world.topics_V, rng=generator(seed, "town/texts"))
    durations = np.full(world.num_clips, 5000, dtype=np.int64)
    events, _ = simulate(world, rules, seed=seed, num_events=45_000, durations_ms_V=durations)
    named = events.select(
        "timestamp_ms",
        "kind",
        user=pl.col("user").cast(pl.String),
        item=pl.col("item").cast(pl.String),
        slate_id=pl.col("slate").cast(pl.String),
    )
    pairs = click_pairs(named, {str(number): text.title for number, text in enumerate(texts)})
    return pairs, world, rules


def planted_probs(pairs: pl.DataFrame, world: World, rules: Rules) -> np.ndarray:
    """What the town itself clicks with, the place in the slate left out."""
    users_C, items_C = (pairs[name].cast(pl.Int64).to_numpy() for name in ("user", "item"))
    found = np.zeros(len(pairs))
    for start in range(0, len(pairs), 1000):
        some = slice(start, start + 1000)
        taste_CV = taste(world, rules, users_C=users_C[some], focus_C=np.zeros(len(users_C[some]), dtype=np.int64))
        fresh_CV = freshness(world, rules, pairs["timestamp_ms"].to_numpy()[some])
        probs_CV = click_probs(world, rules, taste_CV=taste_CV, fresh_CV=fresh_CV)
        found[some] = probs_CV[np.arange(len(probs_CV)), items_C[some]]
    return found


def same_topic(pairs: pl.DataFrame, world: World, titles: dict[str, int]) -> np.ndarray:
    """1 where both titles are of one topic: what a reader of titles that understands them can say, user by user unknown."""
    first = world.topics_V[[titles[one] for one in pairs["first"]]]
    return (first == world.topics_V[pairs["item"].cast(pl.Int64).to_numpy()]).astype(np.float64)


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve of any score."""
    squeezed = (scores - scores.min()) / max(float(np.ptp(scores)), 1e-12)
    return text_metrics(labels, np.stack([1 - squeezed, squeezed], axis=1).astype(np.float32))["auc"]


def one_run(name: str, sets: dict[str, LabelledTexts], *, epochs: int, seed: int) -> dict[str, Any]:
    """Train one method and measure it."""
    choice, rate = RATES[name]
    network, _ = load_text_classifier("packaged:minilm", seed=seed)
    chosen = choose(network, choice, heads=(HEAD,), seed=seed)
    learner = TextLearner(network, sets["train"], sets["valid"])
    options = FitOptions(metric="auc", batch_size=32, learning_rate=rate, max_epochs=epochs, patience=epochs)
    started = time.process_time()
    report = fit(learner, options, seed=seed, progress=show)
    spent = time.process_time() - started
    found = text_metrics(sets["test"].labels_N, learner.predict(sets["test"]))
    with tempfile.TemporaryDirectory() as folder:
        facts = save_delta(chosen, Path(folder) / "delta")
    return {
        "learning_rate": rate,
        "learning": chosen.num_learning,
        "of them head": chosen.num_heads,
        "in all": chosen.num_all,
        "stored_numbers": facts.num_parameters,
        "stored_bytes": facts.size_bytes,
        "processor_seconds": round(spent, 1),
        "epochs": report.epochs,
        "best_epoch": report.best_epoch,
        "valid_auc": round(report.metrics["auc"], 5),
        "test_auc": round(found["auc"], 5),
        "test_log_loss": round(found["log_loss"], 5),
    }


def show(done: int, total: int, note: str) -> None:
    """A line now and then."""
    if done % 20 == 0:
        print(f"  step {done} of {total}, {note}", flush=True)


def write_table(results: dict[str, Any]) -> None:
    """The table for people."""
    full = results["methods"].get("full", {})
    lines = [
        "# Which parameters of a text encoder have to learn",
        "",
        results["what"],
        "",
        "| what learns | numbers that learn | of the head | share of full | stored, bytes | processor seconds | test AUC | less than full |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, seeds in results["methods"].items():
        runs = list(seeds.values())
        first = runs[0]
        mean = float(np.mean([one["test_auc"] for one in runs]))
        best = float(np.mean([one["test_auc"] for one in full.values()])) if full else float("nan")
        whole = next(iter(full.values()))["learning"] if full else first["in all"]
        cells = [
            name,
            f"{first['learning']:,}",
            f"{first['of them head']:,}",
            f"{first['learning'] / whole:.2%}",
            f"{first['stored_bytes']:,}",
            f"{np.mean([one['processor_seconds'] for one in runs]):.0f}",
            f"{mean:.4f}",
            f"{best - mean:+.4f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    ceilings = ", ".join(f"{name} {value:.4f}" for name, value in results["reference_auc"].items())
    lines += ["", f"AUC of what needs no training, same test pairs: {ceilings}."]
    RESULT.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Run the methods one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--valid", type=int, default=800)
    parser.add_argument("--test", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=list(RATES), choices=list(RATES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    pairs, world, rules = town(seed=7)
    before = pairs.filter(pl.col("timestamp_ms") <= world.cutoff_ms)
    after = pairs.filter(pl.col("timestamp_ms") > world.cutoff_ms)
    tables = {
        "train": before.tail(asked.train + asked.valid).head(asked.train),
        "valid": before.tail(asked.valid),
        "test": after.head(asked.test),
    }
    _, tokenizer = load_text_classifier("packaged:minilm")
    sets = {
        name: label_texts(tokenizer, one["first"].to_list(), one["second"].to_list(), one["label"].to_numpy())
        for name, one in tables.items()
    }
    test, labels = tables["test"], tables["test"]["label"].to_numpy()
    texts = write_texts(world.topics_V, rng=generator(7, "town/texts"))
    titles = {text.title: number for number, text in enumerate(texts)}
    counts = ", ".join(f"{len(one):,} {name} ({one['label'].mean():.1%} clicked)" for name, one in tables.items())
    old = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
    what = (
        f"Pairs of titles of a town: {counts}; {asked.epochs} epochs of batches of 32, validation AUC chooses the epoch; "
        f"packaged MiniLM, mean of seeds {', '.join(map(str, asked.seeds))}."
    )
    same = old.get("what") == what
    results: dict[str, Any] = {
        "what": what,
        "machine": f"{platform.system()} {platform.machine()}, one core, torch {torch.__version__}",
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "reference_auc": {
            "the planted probability": round(auc(labels, planted_probs(test, world, rules)), 5),
            "both titles of one topic": round(auc(labels, same_topic(test, world, titles)), 5),
        },
        "methods": old.get("methods", {}) if same else {},
    }
    print(what, results["reference_auc"], flush=True)
    for name in asked.methods:
        for seed in asked.seeds:
            found = one_run(name, sets, epochs=asked.epochs, seed=seed)
            results["methods"].setdefault(name, {})[str(seed)] = found
            print(name, seed, json.dumps(found), flush=True)
            ordered = {one: results["methods"][one] for one in RATES if one in results["methods"]}
            results["methods"] = ordered
            RESULT.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
            write_table(results)


if __name__ == "__main__":
    main()
