"""The Python blocks of docs/client.md and docs/gorse.md, run one after the other."""

import re
from pathlib import Path

import pytest

from kinema.serving.app import create_app
from kinema.serving.options import ServiceOptions
from kinema.steps.backstage import Backstage
from kinema.steps.serving import make_engine
from served import Clips, served
from small_service import small_project

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    ("page", "number", "last"),
    [
        ("client.md", 9, "near.items[0].item_id != 'kites'"),
        ("gorse.md", 1, "'kites' not in [one.id for one in scores]"),
    ],
)
def test_the_blocks_of_a_page_run(page, number, last, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("kites.mp4").write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(100))
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert len(blocks) == number
    names = {}
    with small_project(tmp_path) as project:
        parts = {"clips": Clips(tmp_path), "administration": Backstage(project)}
        app = create_app(make_engine(project), ServiceOptions(is_open=True), **parts)
        with served(project, app) as url:
            for block in blocks:
                exec(compile(block.replace("http://127.0.0.1:8000", url), page, "exec"), names)
            assert eval(last, names)
