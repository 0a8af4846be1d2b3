import json

import pytest

from kinema.artifacts import MANIFEST, fingerprint, read_manifest, write_artifact
from kinema.errors import NotBuiltError, StaleArtifactError


def _write(folder, text="hello", *, fail=False):
    with write_artifact(folder, kind="thing", format_version=2, config={"a": 1}, seed=3, parents={"p": "x"}) as draft:
        (draft / "file.txt").write_text(text)
        if fail:
            raise RuntimeError("boom")


def _read(folder, **changes):
    return read_manifest(folder, **({"kind": "thing", "format_version": 2, "remedy": "kinema make"} | changes))


def test_what_is_written_is_read_back(tmp_path):
    _write(tmp_path / "one")
    manifest = _read(tmp_path / "one", verify=True)
    assert (manifest.seed, dict(manifest.config), dict(manifest.parents)) == (3, {"a": 1}, {"p": "x"})
    assert list(manifest.files) == ["file.txt"]


def test_a_failed_write_leaves_the_old_artefact_and_no_draft(tmp_path):
    _write(tmp_path / "one", "old")
    with pytest.raises(RuntimeError, match="boom"):
        _write(tmp_path / "one", "new", fail=True)
    assert (tmp_path / "one" / "file.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_missing_artefact_names_the_command_that_builds_it(tmp_path):
    with pytest.raises(NotBuiltError, match=r"no thing artefact in 'none'; run: kinema make"):
        _read(tmp_path / "none")


def test_another_kind_or_version_is_stale(tmp_path):
    _write(tmp_path / "one")
    with pytest.raises(StaleArtifactError, match=r"must be thing version 3, is thing version 2; run: kinema make"):
        _read(tmp_path / "one", format_version=3)


def test_a_damaged_file_is_found_when_verifying(tmp_path):
    _write(tmp_path / "one")
    (tmp_path / "one" / "file.txt").write_text("tampered")
    _read(tmp_path / "one")
    with pytest.raises(StaleArtifactError, match=r"file 'file.txt' of artefact 'one' is missing or damaged"):
        _read(tmp_path / "one", verify=True)


def test_an_unreadable_manifest_is_stale(tmp_path):
    _write(tmp_path / "one")
    (tmp_path / "one" / MANIFEST).write_text("{")
    with pytest.raises(StaleArtifactError, match="manifest of 'one' cannot be read"):
        _read(tmp_path / "one")
    (tmp_path / "one" / MANIFEST).write_text(json.dumps({"nonsense": 1}))
    with pytest.raises(StaleArtifactError, match="manifest of 'one' cannot be read"):
        _read(tmp_path / "one")


def test_fingerprints_tell_values_apart_and_ignore_key_order():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
