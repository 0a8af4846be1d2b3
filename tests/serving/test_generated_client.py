"""A client generated from the OpenAPI document by openapi-python-client, against the service: about 5 s in all."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from served import served
from small_service import small_project

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from made_client import Client
from made_client.api.events import post_events
from made_client.api.gorse import gorse_get_item
from made_client.api.items import get_item, put_item
from made_client.api.users import get_recommendations, post_recommendations
from made_client.models import EventIn, EventKind, ItemIn, Problem, RecommendIn

with Client(base_url=sys.argv[2], raise_on_unexpected_status=True) as client:
    item = put_item.sync("kites", client=client, body=ItemIn(title="Kites in the wind", tags=["sky"]))
    print(item.title, item.recommendable)
    print(get_item.sync("kites", client=client).tags)
    print(gorse_get_item.sync("kites", client=client).comment)
    event = EventIn(user_id="gus", item_id="d", kind=EventKind.WATCH)
    print(post_events.sync(client=client, body=event).accepted)
    answer = get_recommendations.sync("gus", client=client, n=1)
    print(answer.items[0].item_id, answer.recommendation_id > "")
    print(post_recommendations.sync("gus", client=client, body=RecommendIn(n=2, exclude=["c"])).items[0].item_id != "c")
    missing = get_item.sync("nothing", client=client)
    print(type(missing).__name__, missing.error.code)
"""


def test_a_generated_client_speaks_with_the_service(tmp_path):
    with small_project(tmp_path) as project, served(project) as url:
        with urllib.request.urlopen(f"{url}/openapi.json") as answer:
            (tmp_path / "openapi.json").write_bytes(answer.read())
        command = ["-m", "openapi_python_client", "generate", "--path", "openapi.json", "--meta", "none"]
        # The generator knows no kind of file by name.
        kinds = dict.fromkeys(("image/webp", "video/mp4", "video/webm"), "application/octet-stream")
        (tmp_path / "config.json").write_text(json.dumps({"content_type_overrides": kinds}))
        command += ["--output-path", str(tmp_path / "made_client"), "--config", "config.json"]
        tools = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        }  # it formats what it makes by ruff
        made = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | tools,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        told = made.stdout + made.stderr
        assert "warning" not in told.lower(), told
        used = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), url], capture_output=True, text=True, timeout=60, check=False
        )
    assert used.returncode == 0, used.stderr
    lines = ["Kites in the wind True", "['sky']", "Kites in the wind", "1", "c True", "True", "Problem not_found"]
    assert used.stdout.splitlines() == lines


def test_every_operation_has_a_name_of_its_own(tmp_path):
    with (
        small_project(tmp_path) as project,
        served(project) as url,
        urllib.request.urlopen(f"{url}/openapi.json") as answer,
    ):
        document = json.load(answer)
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))
    assert {"get_recommendations", "post_events", "put_item", "gorse_recommend"} <= set(names)
