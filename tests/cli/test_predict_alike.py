"""Every `kinema predict TASK` names a model that is missing before anything else, wherever one stands."""

import numpy as np
import pytest
from click.testing import CliRunner

from kinema.cli.learning import project_around
from kinema.cli.main import main
from kinema.errors import NotBuiltError
from kinema.tasks.match_model import MatchModel
from kinema.tasks.towers import Carrier, Tower


@pytest.fixture(name="nowhere")
def made_nowhere(tmp_path, monkeypatch):
    """A folder without a project, with a table and a clip that is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text("query,text\notters,swim\n")
    (tmp_path / "one.mp4").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("task", "kind"), [("click", "click"), ("text", "text-classifier"), ("match", "match"), ("clips", "clip-classes")]
)
def test_a_missing_model_is_named_outside_a_project(nowhere, task, kind):
    rows = ["--clips", "one.mp4"] if task == "clips" else ["--table", "rows.csv"]
    done = CliRunner().invoke(main, ["predict", task, "models/none", *rows, "--to", "out.csv", "--quiet"])
    with pytest.raises(NotBuiltError, match=f"no {kind} artefact in '(none|texts)'; run: kinema finetune {task}"):
        raise done.exception


def test_a_matcher_that_lies_in_no_project_asks_for_one(nowhere):
    one = Carrier(np.zeros(2, np.float32), np.ones(2, np.float32), np.eye(2, dtype=np.float32))
    MatchModel("texts", Tower({"text": one}), Tower({"text": one}), {"text": "there"}).save(nowhere / "m" / "texts")
    done = CliRunner().invoke(main, ["predict", "match", "m", "--table", "rows.csv", "--to", "out.csv", "--quiet"])
    with pytest.raises(NotBuiltError, match=r"no kinema.toml in .* name a project with --project, or run: kinema init"):
        raise done.exception


def test_a_model_knows_the_project_it_lies_in(nowhere):
    (nowhere / "shop" / "artifacts" / "match").mkdir(parents=True)
    (nowhere / "shop" / "kinema.toml").write_text("")
    assert project_around(nowhere / "shop" / "artifacts" / "match") == nowhere / "shop"
    assert project_around(nowhere) is None
