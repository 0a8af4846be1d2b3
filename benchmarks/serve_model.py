"""What the model costs without HTTP, for `benchmarks/serve.py`: one user at a time, one thread. Prints JSON, milliseconds.

python benchmarks/serve_model.py FOLDER
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kinema.threads import set_thread_policy

set_thread_policy(num_threads=1)

import numpy as np  # noqa: E402  # the thread policy comes first

from kinema.project import Project  # noqa: E402
from kinema.serving.world import Asked  # noqa: E402
from serve_world import NOW_MS, NUM_USERS, GeneratedWorlds  # noqa: E402

USERS = 300


def milliseconds(work: Callable[[int], Any]) -> float:
    """Median over users, each asked once, after twenty others."""
    times = []
    for user in range(20 + USERS):
        started = time.perf_counter()
        work(user % NUM_USERS)
        times.append(1000 * (time.perf_counter() - started))
    return round(statistics.median(times[20:]), 4)


def main() -> None:
    """Measure."""
    with Project.open(Path(sys.argv[1])) as project:
        world = GeneratedWorlds(project).read()
        scorer, people = world.maker.recommender.parts.scorer, world.people
        assert scorer is not None
        now = np.array([NOW_MS])

        def ask(user: int) -> object:
            return world.recommend(Asked(f"u{user:05d}", 10, "home", NOW_MS, draw="x"))

        for user in range(NUM_USERS):  # what is remembered of items is there, as in a service that has run for a while
            ask(user)
        found = {
            "forward and one product ms": milliseconds(
                lambda user: scorer.score(people.row(user), branch="sequential", moments_C=now)
            ),
            "all branches fused ms": milliseconds(lambda user: scorer.score(people.row(user), moments_C=now)),
            "whole pipeline ms": milliseconds(ask),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
