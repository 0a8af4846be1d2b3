"""Content keys and the walls of the media root."""

import hashlib
import json
import os

import pytest

from kinema.encoders import content_keys
from kinema.encoders.content_keys import ContentKeys, inside
from kinema.errors import DataError


@pytest.fixture
def reads(monkeypatch):
    read = []

    def counting(path):
        read.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(content_keys, "sha256_file", counting)
    return read


def test_an_unchanged_file_is_read_once(tmp_path, reads):
    (tmp_path / "a").write_bytes(b"one")
    files = {"clips/a": tmp_path / "a"}
    first = ContentKeys(tmp_path / "keys").update(files, num_threads=1)
    again = ContentKeys(tmp_path / "keys").update(files, num_threads=1)
    assert first == again == {"clips/a": hashlib.sha256(b"one").hexdigest()}
    assert reads == ["a"]
    assert ContentKeys(tmp_path / "keys").recorded("clips/a") == first["clips/a"]
    assert ContentKeys(tmp_path / "keys").recorded("clips/b") == ""


def test_a_changed_file_is_read_again(tmp_path, reads):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    keys = ContentKeys(tmp_path / "keys")
    keys.update({"a": path}, num_threads=1)
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert keys.update({"a": path}, num_threads=2)["a"] == hashlib.sha256(b"two").hexdigest()
    assert ContentKeys(tmp_path / "keys").recorded("a") == hashlib.sha256(b"two").hexdigest()


def test_a_line_cut_off_by_a_crash_is_skipped(tmp_path, reads):
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    keys = ContentKeys(tmp_path)
    keys.update({"a": tmp_path / "a"}, num_threads=1)
    with keys.path.open("ab") as stream:
        stream.write(b'["b", 3, 1')
    reopened = ContentKeys(tmp_path)
    assert reopened.recorded("a")
    assert not reopened.recorded("b")
    reopened.update({"b": tmp_path / "b"}, num_threads=1)
    assert ContentKeys(tmp_path).recorded("b")


def test_outdated_lines_are_dropped_in_time(tmp_path):
    path = tmp_path / content_keys.FILE_NAME
    path.write_text("".join(json.dumps(["a", 1, n, f"{n:064}"]) + "\n" for n in range(1_000)))
    keys = ContentKeys(tmp_path)
    assert keys.recorded("a") == f"{999:064}"
    keys.update({}, num_threads=1)
    assert len(path.read_text().splitlines()) == 1
    assert ContentKeys(tmp_path).recorded("a") == f"{999:064}"


def test_lines_of_two_processes_are_all_kept_also_when_one_tidies_up(tmp_path):
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    path = tmp_path / content_keys.FILE_NAME
    path.write_text("".join(json.dumps(["x", 1, n, f"{n:064}"]) + "\n" for n in range(1_000)))
    one, other = ContentKeys(tmp_path), ContentKeys(tmp_path)
    other.update({"a": tmp_path / "a"}, num_threads=1)
    one.update({"b": tmp_path / "b"}, num_threads=1)
    other.update({"c": tmp_path / "c"}, num_threads=1)
    after = ContentKeys(tmp_path)
    assert all(after.recorded(name) for name in "abcx")
    assert len(path.read_text().splitlines()) < 10


def test_a_file_that_vanished_is_absent(tmp_path):
    assert ContentKeys(tmp_path).update({"gone": tmp_path / "gone"}, num_threads=1) == {}


def test_paths_inside_the_root_are_resolved(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.mp4").write_bytes(b"x")
    assert inside(tmp_path, "sub/../sub/a.mp4") == (tmp_path / "sub" / "a.mp4").resolve()


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "link"])
def test_paths_that_leave_the_root_are_refused(tmp_path, path):
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (root / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match=f"media_path must stay inside the media root, '{path}' leads outside"):
        inside(root, path)


@pytest.mark.parametrize("path", ["nothing.mp4", "nul\0byte"])
def test_paths_to_nothing_are_refused(tmp_path, path):
    with pytest.raises(DataError, match="media_path must name a file in the media root"):
        inside(tmp_path, path)
