"""What a refresh begins with: nothing, or the parameters of the model that serves.

    python benchmarks/refreshing.py PROJECT [--seeds 2]

PROJECT has a log and vectors, such as ``demo/project`` after ``make demo``; it is read only. The serving model is trained on the oldest four
fifths of the interactions, each candidate on the oldest 94 %, and all are asked about the rest, as ``kinema refresh`` would. A second serving model,
of another seed, says how far two trainings on the same data lie apart.
"""

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from kinema.flm.model import FLM
from kinema.flm.sharing import inherited
from kinema.project import Project
from kinema.retrieval.popularity import decayed_counts
from kinema.steps.clean_vectors import before
from kinema.steps.comparing import Contender, compare_models
from kinema.steps.dataset import Dataset
from kinema.steps.pretraining import choose_config, serving_split, train_model
from kinema.steps.publishing import ModelFolder
from kinema.store.histories import Histories
from kinema.store.splits import assemble, temporal

RESULT: Final = Path(__file__).parent / "results" / "refreshing.json"
KNOWN, LEARNT = 0.8, 0.94


class Asking:
    """A serving model, and candidates measured against it."""

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self.dataset, self.folder = dataset, folder
        log = dataset.histories
        known_ms, cut_ms = (int(one) for one in np.quantile(log.timestamps_ms, [KNOWN, LEARNT]))
        self.known, self.earlier = before(log, known_ms), before(log, cut_ms)
        available: dict[str, Any] = {"published_ms_V": dataset.published_ms_V, "hidden_V": dataset.hidden_V}
        self.questions = temporal(log, test_from_ms=cut_ms, max_cases=20_000, **available).test
        self.split = assemble(
            "refresh", train=self.earlier, valid=self.questions, test=self.questions, facts={}, **available
        )
        self.serving = self.train("serving", self.known, seed=0)

    def train(
        self,
        name: str,
        log: Histories,
        *,
        seed: int,
        source: FLM | None = None,
        share: float = 1.0,
        items: bool = False,
    ) -> FLM:
        """A model of a part of the log; of the usual epochs it gets a share."""
        train, valid = serving_split(log)
        config = choose_config(train, {} if source is None else inherited(source, {}))
        model, _ = train_model(
            dataset=self.dataset,
            train=train,
            valid=valid,
            config=config.with_changes(max_epochs=round(config.max_epochs * share)),
            seed=seed,
            place=ModelFolder(self.folder / f"{name}-{seed}"),
            source=source,
            same_items=items,
        )
        return model

    def contender(self, model: FLM) -> Contender:
        """As it would serve at the cut."""
        scorer = model.serve(self.dataset.features, len(self.dataset.item_ids))
        scorer.memory.count_on(self.earlier)
        return Contender("one", scorer, model.counts_V, self.dataset.profiles)

    def against(self, model: FLM) -> dict[str, Any]:
        """NDCG@10, the difference from the serving model with its interval, and the seconds of training."""
        found = compare_models(
            self.contender(self.serving),
            self.contender(model),
            self.questions,
            self.split,
            popularity_V=decayed_counts(self.earlier),
            tolerance=0.1,
        )
        row = found.rows["all"]
        return {
            "ndcg@10": round(row.candidate, 4),
            "difference": [round(one, 4) for one in (row.difference.mean, row.difference.low, row.difference.high)],
            "margin": round(found.margin, 4),
            "published": found.no_worse,
            "seconds": model.report["seconds"],
            "questions": row.questions,
        }


def measured(place: Path, seeds: int) -> Mapping[str, Any]:
    """Start -> what each seed came to."""
    with Project.open(place) as project, tempfile.TemporaryDirectory() as folder:
        asking = Asking(project.dataset(), Path(folder))
        starts: dict[str, dict[str, Any]] = {
            "nothing": {},
            "nothing, a third of the epochs": {"share": 1 / 3},
            "serving without its items": {"source": asking.serving},
            "serving": {"source": asking.serving, "items": True},
            "serving, a third of the epochs": {"source": asking.serving, "items": True, "share": 1 / 3},
        }
        found: dict[str, Any] = {
            "the serving model": asking.against(asking.serving),
            "the serving model, another seed": [asking.against(asking.train("other", asking.known, seed=1))],
        }
        for name, how in starts.items():
            found[name] = [
                asking.against(asking.train(name, asking.earlier, seed=seed, **how)) for seed in range(1, seeds + 1)
            ]
            print(name, json.dumps(found[name]), flush=True)
        return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "starts": measured(given.project, given.seeds),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
