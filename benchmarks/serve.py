"""How many recommendations a second the service gives, how long one takes, and what of that is the model.

    python benchmarks/serve.py [--items 10000 100000] [--workers 1 2] [--seconds 10] [--rounds 3] [--soak 0]

Everything on this machine in one run, per size of the catalogue, medians of the rounds:

- the service (`serve_process.py`), as one process and as two that share a store, each with one thread that answers: `wrk` asks as 1, 8 and 32 clients, nine requests for ten recommendations to one event; users have
  histories of about 50 (`serve_world.py`). Every answer is a slate logged durably, with reasons. The first 6,000 requests warm it up;
  The load is people who come back: 2,000 users, nine requests to one event, so most are asked about again with the history that they had,
  and what was found for it is kept (`kinema.retrieval.asked_before`). Where every request follows an event, each costs the second of these;
- a bare endpoint of the same framework that returns one of those answers as a constant, with the same clients;
- the model without HTTP, in a process of its own, one thread: reading a history and the matrix products that score the catalogue
  (`Scorer.score` of the sequential branch: the forward pass and one product), and the fused score of all branches, which is what a slate
  is ranked by; and the whole pipeline without HTTP, for users of whom nothing is new and for users with one new event;
- memory of the service's processes once it is warm and after the load, all together: pages that they share are counted once.

Aims: p99 <= 25 ms with 8 clients and 10,000 items on 2 cores; one request costs at most 3 times the bare model. With ``--soak S`` the
same service is loaded for S seconds more at half of its best rate, told by memory and latency of each tenth. Needs ``wrk``; writes
``results/serve.json``.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil

HERE: Final = Path(__file__).resolve().parent
RESULT: Final = HERE / "results" / "serve.json"
CLIENTS: Final = (1, 8, 32)
WARM_SECONDS: Final = 15
MOST_WARM_SECONDS: Final = 180
WARM_REQUESTS: Final = 6_000
"""Each of the 2,000 users three times, so that a slow machine is measured in the same state as a fast one."""
_PORT: Final = 8377


@contextmanager
def running(*arguments: str, path: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of `serve_process.py`, once it answers a path."""
    process = subprocess.Popen([sys.executable, str(HERE / "serve_process.py"), *arguments, "--port", str(_PORT)])
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{_PORT}{path}", timeout=5).read()
                break
            except OSError:
                if process.poll() is not None:
                    raise
                time.sleep(0.2)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def loaded(*, clients: int, seconds: int, num_items: int, bare: str = "", seed: int = 1) -> dict[str, Any]:
    """What `wrk` measures."""
    from serve_world import NUM_USERS  # noqa: PLC0415  # brings the model

    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "-s", str(HERE / "serve_load.lua")]
    command += [f"http://127.0.0.1:{_PORT}", "--", str(NUM_USERS), str(num_items), bare, str(seed)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(next(line for line in told.splitlines() if line.startswith("RESULT"))[7:])
    return found | {"per_second": round(found["requests"] / found["seconds"], 1)}


def medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Of what was measured several times; errors are added up."""
    names = ("per_second", "p50_ms", "p90_ms", "p99_ms")
    found = {name: round(statistics.median(one[name] for one in rounds), 3) for name in names}
    return found | {"errors": sum(one["errors"] for one in rounds), "p99_ms_rounds": [one["p99_ms"] for one in rounds]}


def measure(num_items: int, *, workers: list[int], seconds: int, rounds: int, soak: int) -> dict[str, Any]:
    """One size of the catalogue."""
    from serve_world import built_project  # noqa: PLC0415  # the same

    built = built_project(num_items)
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary) / "project"
        shutil.copytree(built, project)
        answer = Path(temporary) / "answer.json"
        found: dict[str, Any] = {}
        model = [bare_model(project)]
        how: dict[str, Any] = {"seconds": seconds, "num_items": num_items}
        for num in workers:
            with running("--project", str(project), "--workers", str(num), path="/health/ready") as process:
                url = f"http://127.0.0.1:{_PORT}/v1/users/u00001/recommendations?n=10"
                answer.write_bytes(urllib.request.urlopen(url).read())
                warmed(num_items)
                at_first = memory_mb(process.pid)
                name = "service" if num == 1 else f"service of {num} processes"
                found[name] = {
                    str(clients): medians([loaded(clients=clients, seed=2 + number, **how) for number in range(rounds)])
                    for clients in CLIENTS
                } | {"memory_mb_warmed": at_first, "memory_mb": memory_mb(process.pid)}
                model.append(bare_model(project))
                if soak and num == workers[-1]:
                    found["soak"] = soaked(process.pid, soak, num_items)
            by_model(found[name], min(num, os.cpu_count() or 1), model[-2:])
        with running("--bare", str(answer), path="/bare"):
            found["bare"] = {
                str(clients): medians([loaded(clients=clients, bare="/bare", **how) for _ in range(rounds)])
                for clients in CLIENTS
            }
    found["model"] = {name: round(statistics.mean(one[name] for one in model), 3) for name in model[0]}
    found["model runs"] = model
    return found


def by_model(service: dict[str, Any], cores: int, model: list[dict[str, float]]) -> None:
    """Say how many times the model a request takes: milliseconds of one core, by the model's before and after the load.

    Machines that others use change their speed within minutes.
    """
    whole = 1000 * cores / service["8"]["per_second"]
    service["request_by_model"] = {
        told: round(whole / statistics.mean(one[name] for one in model), 2)
        for told, name in (("one product", "forward and one product ms"), ("all branches", "all branches fused ms"))
    }


def bare_model(project: Path) -> dict[str, float]:
    """Milliseconds of one user on one thread, without HTTP."""
    told = subprocess.run(
        [sys.executable, str(HERE / "serve_model.py"), str(project)], check=True, capture_output=True, text=True
    ).stdout
    found: dict[str, float] = json.loads(told.splitlines()[-1])
    return found


def memory_mb(process: int) -> float:
    """What a process and its children take, each page once."""
    own = psutil.Process(process)
    shares = [one.memory_full_info() for one in (own, *own.children(recursive=True))]
    return round(sum(getattr(one, "pss", one.rss) for one in shares) / 1e6, 1)


def warmed(num_items: int) -> None:
    """Load the service until it knows what it keeps of its users."""
    requests, started = 0, time.monotonic()
    for seed in range(200, 300):
        requests += loaded(clients=4, seconds=WARM_SECONDS, num_items=num_items, seed=seed)["requests"]
        if requests >= WARM_REQUESTS or time.monotonic() - started > MOST_WARM_SECONDS:
            return


def soaked(process: int, seconds: int, num_items: int) -> list[dict[str, Any]]:
    """Ten equal stretches under load: latency and memory of each. One client leaves about half of what eight get unused."""
    rows = []
    for stretch in range(10):
        found = loaded(clients=1, seconds=max(1, seconds // 10), num_items=num_items, seed=100 + stretch)
        rows.append(
            {name: found[name] for name in ("per_second", "p50_ms", "p99_ms", "errors")}
            | {"memory_mb": memory_mb(process)}
        )
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes, each measured")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--soak", type=int, default=0, help="seconds of a steady load after the rounds")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed to load the service; run: apt-get install wrk")
    load = os.getloadavg()[0]
    kept = json.loads(RESULT.read_text())["items"] if RESULT.is_file() else {}
    for num_items in options.items:
        print(f"{num_items:,} items", flush=True)
        how = {"seconds": options.seconds, "rounds": options.rounds, "soak": options.soak}
        found = measure(num_items, workers=options.workers, **how)
        print(json.dumps(found, indent=1))
        kept[str(num_items)] = found | {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "load_before": round(load, 2)}
        machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
        RESULT.write_text(json.dumps({"machine": machine, "seconds": options.seconds, "items": kept}, indent=1) + "\n")


if __name__ == "__main__":
    main()
