"""DeepFM and DCN-v2 of torch-rechub on Frappe: the split, fields, width and hidden layers of ``click_prediction.py``.

    python benchmarks/click_peer.py [--seeds 3]

The peer has its own trainer and patience. Its grid holds its default and the L2 on vectors that pays here; the setting is chosen on validation
with seed 0 and runs with the other seeds. Test labels never leave this process.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy must come before the numeric libraries

from click_prediction import INPUTS, frappe  # noqa: E402
from kinema.evaluation.environment import run_facts  # noqa: E402
from kinema.tasks.click import measures, read_labels  # noqa: E402
from kinema.tasks.fields import fit_fields  # noqa: E402
from peering import environment, run_script  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "click_peer.json"
SCRIPT: Final = Path(__file__).resolve().parent / "peers" / "rechub_quality.py"


def run(model: str, exchange: Path, *, seed: int, chosen: int, threads: int) -> tuple[dict[str, Any], Path]:
    """One process of the peer: its log and its folder."""
    folder = exchange / f"{model}-{seed}"
    folder.mkdir()
    command = [str(environment("rechub")), str(SCRIPT), "--exchange", str(exchange), "--out", str(folder)]
    command += ["--model", model, "--seed", str(seed), "--chosen", str(chosen)]
    run_script("rechub", command, folder, threads=threads, timeout=6 * 3600)
    return json.loads((folder / "log.json").read_text(encoding="utf-8")), folder


def main() -> None:
    """Both models, all seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    tables = frappe()
    fields = fit_fields(tables["train"], INPUTS["frappe"]["10 fields"])
    firsts = np.array([one.first for one in fields.single], dtype=np.int64)
    labels = {name: read_labels(frame, "label") for name, frame in tables.items()}
    rows = {f"{name}_single": fields.apply(frame).rows_NF - firsts for name, frame in tables.items()}
    rows |= {f"{name}_labels": labels[name] for name in ("train", "valid")}
    facts = run_facts(command="python benchmarks/click_peer.py", seed=0)
    told: dict[str, Any] = {"machine": facts["machine"], "date": facts["date"], "set": "frappe, 10 fields"}
    with tempfile.TemporaryDirectory() as place:
        exchange = Path(place)
        np.savez(exchange / "rows.npz", sizes=np.array([one.size for one in fields.single]), **rows)
        for model in ("deepfm", "dcn"):
            chosen, found, tried = -1, [], []
            for seed in range(options.seeds):
                log, folder = run(model, exchange, seed=seed, chosen=chosen, threads=options.threads)
                if chosen < 0:
                    tried = log["tried"]
                    chosen = max(tried, key=lambda one: one["valid_auc"])["place"]
                with np.load(folder / "told.npz") as probs:
                    found.append({part: measures(labels[part], probs[part]) for part in ("valid", "test")})
                print(model, seed, found[-1], flush=True)
                told[model] = {
                    "peer": f"torch-rechub {log['version']}",
                    "tried": tried,
                    "seeds": found,
                    "test_auc": round(statistics.mean(one["test"]["auc"] for one in found), 5),
                }
                RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
