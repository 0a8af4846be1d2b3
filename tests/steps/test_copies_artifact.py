import json

import pytest

from kinema.steps.copies import load_copies, write_copies


@pytest.fixture
def folder(tmp_path):
    write_copies(tmp_path / "duplicates", [["b", "a"], ["gone", "c"], ["d", "gone too", "é"]], config={"least": [1]})
    return tmp_path / "duplicates"


def test_groups_come_back_as_numbers_and_unknown_items_are_left_out(folder):
    assert load_copies(folder, ["a", "b", "c", "d", "é", "new"]).tolist() == [0, 0, -1, 2, 2, -1]


def test_the_artefact_has_a_manifest(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["kind"], manifest["config"]) == ("duplicates", {"least": [1]})
    assert list(manifest["files"]) == ["groups.json"]


def test_no_artefact_means_no_groups(tmp_path):
    assert load_copies(tmp_path / "duplicates", ["a"]) is None


def test_no_groups_are_an_answer_too(tmp_path):
    write_copies(tmp_path / "duplicates", [], config={})
    assert load_copies(tmp_path / "duplicates", ["a"]).tolist() == [-1]


@pytest.mark.parametrize("damage", ["groups.json", "manifest.json"])
def test_a_damaged_artefact_costs_no_slate(folder, damage):
    (folder / damage).write_text("{")
    assert load_copies(folder, ["a", "b"]) is None
