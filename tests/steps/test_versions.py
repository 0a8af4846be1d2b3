"""Versions on disk: published as a whole, kept, rolled back to; whoever dies in between leaves a model that serves."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kinema.artifacts import MANIFEST, read_manifest, sha256_file, write_artifact
from kinema.errors import DataError, NotBuiltError, StaleArtifactError
from kinema.steps.version_swaps import Made, publish, publish_staged, roll_back
from kinema.steps.versions import (
    BESIDE,
    find_version,
    kept_versions,
    learnt_with,
    ranker_folder,
    serving_folder,
    version_of,
)

MADE = Made("kinema pretrain", 7, 1.5, {"fused": 0.25}, {"items": 3})


def write_model(text):
    """Writes an artefact of two files that say the same."""

    def write(folder):
        with write_artifact(folder, kind="flm", format_version=3, config={"is": text}, seed=7) as draft:
            (draft / "network").write_text(text)
            (draft / "arrays").write_text(text)

    return write


def put(artifacts, text, **options):
    return publish(artifacts, write_model(text), lambda _: MADE, **options)


def said(folder):
    """What the model in a folder says, which must be whole."""
    read_manifest(folder, kind="flm", format_version=3, remedy="x", verify=True)
    texts = {(folder / name).read_text() for name in ("network", "arrays")}
    assert len(texts) == 1
    return texts.pop()


def learn_ranker(folder, model):
    with write_artifact(
        folder, kind="click", format_version=1, config={}, parents={"flm": sha256_file(model / MANIFEST)}
    ) as draft:
        (draft / "network").write_text("a ranker")


def test_a_model_that_is_published_serves_and_the_one_before_it_is_kept(tmp_path):
    one, two = put(tmp_path, "one"), put(tmp_path, "two")
    assert said(tmp_path / "flm") == "two"
    assert (tmp_path / "flm").readlink() == Path("versions") / two.id
    assert [said(tmp_path / "versions" / version.id) for version in kept_versions(tmp_path)] == ["one", "two"]
    assert (one.parent, two.parent) == (None, one.id)
    assert kept_versions(tmp_path) == (one, two)
    told = json.loads((tmp_path / "flm" / "version.json").read_text())
    assert told["command"] == "kinema pretrain"
    assert told["id"].endswith(sha256_file(tmp_path / "flm" / MANIFEST)[:8])


def test_who_has_begun_to_read_a_version_goes_on_with_it(tmp_path):
    put(tmp_path, "one")
    folder = serving_folder(tmp_path)
    first = (folder / "network").read_text()
    put(tmp_path, "two")
    assert (folder / "arrays").read_text() == first == "one"


def test_versions_are_in_order_although_the_clock_was_set_back(tmp_path):
    newest = put(tmp_path, "one").id
    later = tmp_path / "versions" / f"21991231T235959999-{newest[-8:]}"
    (tmp_path / "versions" / newest).rename(later)
    assert publish(tmp_path, write_model("two"), lambda _: MADE).id > later.name


def test_what_fails_before_it_serves_changes_nothing(tmp_path):
    one = put(tmp_path, "one")

    def fails(folder):
        raise ValueError(folder.name)

    with pytest.raises(ValueError, match="incoming"):
        put(tmp_path, "two", ready=fails)
    assert said(tmp_path / "flm") == "one"
    assert kept_versions(tmp_path) == (one,)


def test_so_many_versions_are_kept_but_never_less_than_what_serves_and_what_served(tmp_path):
    for text in ("one", "two", "three", "four"):
        put(tmp_path, text, keep=3)
    assert [said(tmp_path / "versions" / one.id) for one in kept_versions(tmp_path)] == ["two", "three", "four"]
    roll_back(tmp_path, kept_versions(tmp_path)[0].id)
    put(tmp_path, "five", keep=1)
    assert [said(tmp_path / "versions" / one.id) for one in kept_versions(tmp_path)] == ["two", "five"]
    assert {path.name for path in (tmp_path / "versions").glob(".*")} == {".lock"}


def test_the_way_back_is_to_what_served_before_not_to_what_was_rolled_back_from(tmp_path):
    one, two = put(tmp_path, "one"), put(tmp_path, "two")
    assert roll_back(tmp_path) == (one, two)
    three = put(tmp_path, "three")
    assert three.parent == one.id
    assert roll_back(tmp_path) == (one, three)
    assert said(tmp_path / "flm") == "one"
    assert roll_back(tmp_path, two.id) == (two, one)
    assert said(tmp_path / "flm") == "two"


def test_where_the_parent_is_gone_the_way_back_is_to_the_newest_that_is_older(tmp_path):
    one, two, three = (put(tmp_path, text) for text in ("one", "two", "three"))
    shutil.rmtree(tmp_path / "versions" / two.id)
    assert roll_back(tmp_path) == (one, three)


def test_a_version_is_found_by_a_part_of_its_id(tmp_path):
    one, two = put(tmp_path, "one"), put(tmp_path, "two")
    assert find_version(tmp_path, one.id[-8:]) == one
    assert find_version(tmp_path, two.id[:-4]) == two
    with pytest.raises(DataError, match=rf"version '2' must mean one version, means 2: {one.id}, {two.id}; give more"):
        find_version(tmp_path, "2")
    with pytest.raises(DataError, match=rf"unknown version 'x'; kept: {one.id}, .*; see: kinema model list"):
        find_version(tmp_path, "x")


def test_a_roll_back_that_leads_nowhere_is_refused(tmp_path):
    with pytest.raises(NotBuiltError, match="there is no model to roll back to; run: kinema pretrain"):
        roll_back(tmp_path)
    one = put(tmp_path, "one")
    with pytest.raises(DataError, match=f"version '{one.id}' must have one before it to roll back to, has none"):
        roll_back(tmp_path)
    with pytest.raises(DataError, match=f"version '{one.id}' serves already"):
        roll_back(tmp_path, one.id)
    put(tmp_path, "two")
    (tmp_path / "versions" / one.id / "arrays").write_text("spoilt")
    with pytest.raises(StaleArtifactError, match=f"file 'arrays' of version '{one.id}' is missing or damaged; choose"):
        roll_back(tmp_path)
    assert said(tmp_path / "flm") == "two"


def test_a_model_that_is_gone_can_be_brought_back(tmp_path):
    one = put(tmp_path, "one")
    (tmp_path / "flm").unlink()
    assert roll_back(tmp_path) == (one, None)
    assert said(tmp_path / "flm") == "one"


def test_a_model_from_before_there_were_versions_is_kept_when_the_next_is_published(tmp_path):
    write_model("old")(tmp_path / "flm")
    (tmp_path / "bound").mkdir()
    old = version_of(tmp_path / "flm")
    assert (old.seed, kept_versions(tmp_path)) == (7, (old,))
    new = put(tmp_path, "new")
    assert new.parent == old.id
    assert not (tmp_path / "bound").exists()
    assert roll_back(tmp_path) == (old, new)
    assert said(tmp_path / "flm") == "old"


def test_a_copy_of_a_project_whose_link_became_a_folder_serves_the_same_version(tmp_path):
    one = put(tmp_path / "here", "one")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert not (tmp_path / "there" / "flm").is_symlink()
    assert kept_versions(tmp_path / "there") == (one,)
    assert put(tmp_path / "there", "two").parent == one.id
    assert (tmp_path / "there" / "flm").is_symlink()
    assert len(kept_versions(tmp_path / "there")) == 2


def test_where_the_file_system_knows_no_links_a_folder_serves(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise OSError

    monkeypatch.setattr(Path, "symlink_to", refused)
    monkeypatch.setattr(os, "link", refused)
    one, two = put(tmp_path, "one"), put(tmp_path, "two")
    assert (tmp_path / "flm").is_dir()
    assert not (tmp_path / "flm").is_symlink()
    assert version_of(serving_folder(tmp_path)) == two
    assert roll_back(tmp_path) == (one, two)
    assert said(tmp_path / "flm") == "one"


def test_a_file_that_says_nothing_is_named(tmp_path):
    put(tmp_path, "one")
    (tmp_path / "flm" / "version.json").write_text("{")
    with pytest.raises(StaleArtifactError, match=r"version '.*' cannot be read: .*; run: kinema pretrain"):
        kept_versions(tmp_path)
    with pytest.raises(NotBuiltError, match="no flm artefact in 'nothing'; run: kinema pretrain"):
        version_of(tmp_path / "nothing")


def test_a_ranker_is_kept_with_the_model_it_has_learnt_with_and_comes_back_with_it(tmp_path):
    put(tmp_path, "one")
    first, flm = serving_folder(tmp_path), sha256_file(tmp_path / "flm" / MANIFEST)
    learn_ranker(tmp_path / "click", first)
    assert ranker_folder(tmp_path, "click", flm=flm, model=first) == tmp_path / "click"
    put(tmp_path, "two")
    learn_ranker(tmp_path / "click", serving_folder(tmp_path))
    roll_back(tmp_path)
    kept = ranker_folder(tmp_path, "click", flm=flm, model=serving_folder(tmp_path))
    assert kept == first / BESIDE / "click"
    assert learnt_with(kept) == flm
    assert (kept / "network").read_text() == "a ranker"


def test_a_staged_model_brings_the_rankers_that_have_learnt_with_it(tmp_path):
    staged = tmp_path / "staged"
    write_model("new")(staged / "flm")
    learn_ranker(staged / "click", staged / "flm")
    write_model("other")(tmp_path / "other")
    learn_ranker(staged / "several", tmp_path / "other")
    version = publish_staged(tmp_path, staged, MADE)
    folder = tmp_path / "versions" / version.id
    assert [path.name for path in (folder / BESIDE).iterdir()] == ["click"]
    assert ranker_folder(tmp_path, "click", flm=version.sha256, model=folder) == folder / BESIDE / "click"


def test_models_that_are_published_at_once_are_all_kept_and_readers_always_see_a_whole_one(tmp_path):
    put(tmp_path, "start")
    done, seen, broken = threading.Event(), set(), []

    def read():
        while not done.is_set():
            try:
                seen.add(said(serving_folder(tmp_path)))
            except Exception as error:  # noqa: BLE001  # told by the test
                broken.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=put, args=(tmp_path, f"m{n}"), kwargs={"keep": 50}) for n in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    reader.join()
    assert not broken
    kept = kept_versions(tmp_path)
    assert {said(tmp_path / "versions" / one.id) for one in kept} == {"start", *(f"m{n}" for n in range(6))}
    assert [one.parent for one in kept[1:]] == [one.id for one in kept[:-1]]


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from kinema.steps.version_swaps import roll_back
from kinema.steps.versions import kept_versions, serving_folder
from test_versions import put, said, write_model

STEPS = ("os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.mkdir", "open")

def fatal(number):
    left = [number]
    def hook(event, args):
        if event in STEPS and (event != "open" or "w" in str(args[1])):
            left[0] -= 1
            if left[0] < 0:
                os._exit(9)
    sys.addaudithook(hook)

def tried(place, change):
    number = 0
    while True:
        artifacts = place / f"{number}"
        start(artifacts)
        child = os.fork()
        if not child:
            fatal(number)
            change(artifacts)
            os._exit(0)
        died = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert died in (0, 9), died
        assert said(serving_folder(artifacts)) in ("old", "new"), number
        assert all(said(artifacts / "versions" / one.id) for one in kept_versions(artifacts) if (artifacts / "versions" / one.id).is_dir())
        put(artifacts, "next")
        assert said(artifacts / "flm") == "next"
        assert {path.name for path in (artifacts / "versions").glob(".*")} == {".lock"}
        assert not list(artifacts.glob(".flm*"))
        if not died:
            return number
        number += 1

def start(artifacts):
    if sys.argv[3] == "folder":
        write_model("old")(artifacts / "flm")
    else:
        put(artifacts, "new")
        put(artifacts, "old")

change = roll_back if sys.argv[3] == "back" else lambda artifacts: put(artifacts, "new", keep=1)
print(tried(Path(sys.argv[2]), change))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("way", ["link", "folder", "back"])
def test_a_process_that_is_killed_at_any_step_leaves_a_whole_model(tmp_path, way):
    asked = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path), way]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    assert int(done.stdout) >= (3 if way == "back" else 12)
