"""A copy of a project, served without keys for as long as a browser looks at it, and somebody who uses it."""

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from running_service import RunningService  # found by the line above


@contextmanager
def served_copy(project: Path) -> Iterator[Any]:
    """Serve a copy, with the clips beside it: what is watched and liked here changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        home = shutil.copytree(project.resolve().parent, Path(folder) / "home", symlinks=True)
        with RunningService(home / project.name) as service:
            yield service


def use(http: Any, *, seconds: float, seed: int = 7) -> None:
    """Ask, click and watch as a few people do, so that there is something to see."""
    draw, end, number = random.Random(seed), time.monotonic() + seconds, 0
    users = [one["user_id"] for one in http.get("/v1/users", params={"limit": 50}).json()["users"]]
    while time.monotonic() < end:
        user, scenario = draw.choice(users), draw.choice(("home", "home", "related"))
        slate = http.post(f"/v1/users/{user}/recommendations", json={"n": 10, "scenario": scenario}).json()
        events: list[dict[str, Any]] = []
        for item in slate["items"][: draw.randint(2, 6)]:
            about = {"user_id": user, "item_id": item["item_id"], "recommendation_id": slate["recommendation_id"]}
            kinds = ["impression", *(["click", "watch"] if draw.random() < 0.2 else [])]
            for kind in kinds:
                number += 1
                watched = {"watch_ms": draw.randint(1000, 6000)} if kind == "watch" else {}
                events.append(about | watched | {"kind": kind, "event_id": f"look-{seed}-{number}"})
        http.post("/v1/events", json={"events": events})
        http.get("/v1/search", params={"q": draw.choice(("guitar", "sea", "bread", "forest"))})
        time.sleep(draw.random() * 0.2)
