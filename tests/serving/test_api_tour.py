"""The tour of docs/api.md, run with curl: every command answers what the page says."""

import json
import shutil
import time

import pytest

from api_tour import PAGE, alike, ran, tour, tour_project
from served import served

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")


def test_every_command_of_the_page_answers_what_it_says(tmp_path):
    steps = tour(PAGE.read_text())
    jobs = []
    with tour_project(tmp_path) as project, served(project) as url:
        for command, printed in steps:
            answer = ran(command, url, tmp_path)
            assert alike(answer) == alike(json.loads(printed)), command
            jobs += [answer["job_id"]] if "job_id" in answer else []
        until = time.monotonic() + 120
        while (job := ran(f"curl -s http://127.0.0.1:8000/v1/media/{jobs[0]}", url, tmp_path))["status"] in (
            "queued",
            "decoding",
            "encoding",
        ):
            assert time.monotonic() < until, job
            time.sleep(0.05)
        assert (job["item_id"], job["status"], job["message"]) == ("kites", "recommendable", None)
    assert len(steps) > 25
