"""What the model costs without HTTP, for `benchmarks/serve.py`: one user at a time, one thread. Its last line is JSON, milliseconds.

The whole pipeline is measured twice. "whole pipeline" asks for users of whom nothing is new since they were last asked about: what
was found for the same history is kept and found again (`kinema.retrieval.asked_before`). "history changed" gives each user one event
before, taken in as the service takes it in, and times the asking alone: the history is read again, and so is what lies near it.

python benchmarks/serve_model.py FOLDER     a project of serve_world.py
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kinema.threads import set_thread_policy

set_thread_policy(num_threads=1)

import numpy as np  # noqa: E402  # the thread policy comes first

from kinema.project import Project  # noqa: E402
from kinema.serving.world import Asked, World  # noqa: E402
from kinema.store.service_protocols import Arrival  # noqa: E402
from serve_world import NOW_MS, NUM_USERS, GeneratedWorlds  # noqa: E402

USERS = 300


def nothing(user: int) -> None:
    """What is done before a user is asked about, where nothing is."""


def milliseconds(work: Callable[[int], Any], *, before: Callable[[int], None] = nothing) -> float:
    """Median over users, each asked once, after twenty others; what is done before is not counted."""
    times = []
    for user in range(20 + USERS):
        before(user % NUM_USERS)
        started = time.perf_counter()
        work(user % NUM_USERS)
        times.append(1000 * (time.perf_counter() - started))
    return round(statistics.median(times[20:]), 4)


def watching(world: World) -> Callable[[int], None]:
    """One new event of a user, of the kind and at the moment that the load of `serve.py` logs: any item, now."""
    random = np.random.default_rng(1)
    seqs = itertools.count(world.seq + 1)

    def watch(user: int) -> None:
        number, item = world.people.number(f"u{user:05d}"), int(random.integers(len(world.catalogue)))
        assert number is not None
        world.record([Arrival(next(seqs), number, item, NOW_MS, "watch", watch_ms=9000)])

    return watch


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    with Project.open(parser.parse_args().folder) as project:
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
            "whole pipeline, history changed ms": milliseconds(ask, before=watching(world)),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
