"""The service that `benchmarks/serve.py` loads, or a bare endpoint of the same framework, in a process of its own.

python benchmarks/serve_process.py --project FOLDER --port 8000 [--workers 2]
python benchmarks/serve_process.py --bare ANSWER.json --port 8000
"""

import argparse
import socket
import sys
from pathlib import Path

from kinema.threads import set_thread_policy

set_thread_policy(num_threads=1)
sys.setswitchinterval(0.0005)

import uvicorn  # noqa: E402  # the thread policy comes first
from fastapi import FastAPI, Response  # noqa: E402


def bare(answer: Path) -> FastAPI:
    """One path that returns a constant: what the framework itself costs."""
    content = answer.read_bytes()
    app = FastAPI()

    @app.get("/bare")
    async def constant() -> Response:
        return Response(content, media_type="application/json")

    return app


def service(folder: Path, *, threads: int, counts: Path | None) -> FastAPI:
    """The service of a project of `serve_world`, as `kinema serve --open --log off` assembles it."""
    from kinema.project import Project  # noqa: PLC0415
    from kinema.serving.app import create_app  # noqa: PLC0415
    from kinema.serving.engine import Engine  # noqa: PLC0415
    from kinema.serving.keeper import settle_memory  # noqa: PLC0415
    from kinema.serving.options import ServiceOptions  # noqa: PLC0415
    from serve_world import GeneratedWorlds  # noqa: PLC0415

    project = Project.open(folder)
    engine = Engine(store=project.store, worlds=GeneratedWorlds(project), taken=settle_memory)
    engine.start()
    feeds = [] if counts is None else [engine.telemetry.share(counts)]
    return create_app(engine, ServiceOptions(is_open=True, threads=threads), feeds=feeds)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path)
    parser.add_argument("--bare", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1, help="answers computed at once in a process")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port")
    parser.add_argument("--worker", type=int, help="one of them")
    parser.add_argument("--counts", type=Path, help="where all of them leave what they count")
    options = parser.parse_args()
    from kinema.serving.connections import BoundedProtocol  # noqa: PLC0415  # brings the web framework
    from kinema.serving.dealt import DealtServer  # noqa: PLC0415  # the same
    from kinema.steps.serving import bound_socket  # noqa: PLC0415  # the same
    from kinema.steps.serving_workers import run_workers  # noqa: PLC0415  # the same

    if options.workers > 1 and options.worker is None:
        run_workers([sys.executable, *sys.argv], bound_socket("127.0.0.1", options.port), num=options.workers)
        return
    app = (
        bare(options.bare) if options.bare else service(options.project, threads=options.threads, counts=options.counts)
    )
    config = uvicorn.Config(app, log_level="error", access_log=False, server_header=False, http=BoundedProtocol)
    if options.worker is not None:
        DealtServer(config, socket.socket(fileno=options.worker)).run()
    else:
        uvicorn.Server(config).run(sockets=[bound_socket("127.0.0.1", options.port)])


if __name__ == "__main__":
    main()
