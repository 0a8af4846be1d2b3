"""Vector shards: whole or absent, whatever happens to the process or the file."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.errors import DataError, StaleArtifactError
from kinema.store.vectors import VectorShards


def rows(*values, width=3):
    return np.array([[value] * width for value in values], dtype=np.float32)


def shard_files(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".safetensors")


def test_two_threads_may_write_the_same_vectors_at_once(tmp_path, monkeypatch):
    both_wrote, flush = threading.Barrier(2), os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (flush(number), both_wrote.wait(10)))
    folders = [VectorShards(tmp_path) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda one: one.append(["a"], rows(1), [1.0]), folders)) == [1, 1]
    assert VectorShards(tmp_path).get(["a"])[0][:, 0].tolist() == [1]
    assert len(shard_files(tmp_path)) == len(list(tmp_path.iterdir()))


def test_vectors_come_back_in_the_order_asked(tmp_path):
    shards = VectorShards(tmp_path)
    assert shards.append(["a", "b"], rows(1, 2), [1.0, 0.5]) == 2
    assert shards.append(["c"], rows(3), [0.25]) == 1
    for opened in (shards, VectorShards(tmp_path)):
        vectors, present, quality = opened.get(["c", "x", "a", "a", "b"])
        assert vectors[:, 0].tolist() == [3, 0, 1, 1, 2]
        assert vectors.dtype == quality.dtype == np.float32
        assert present.tolist() == [True, False, True, True, True]
        assert quality.tolist() == [0.25, 0, 1, 1, 0.5]
        assert opened.index.keys() == {"a", "b", "c"}
        assert (len(opened.index), opened.width, "a" in opened.index, "x" in opened.index) == (3, 3, True, False)


def test_an_empty_folder_gives_vectors_of_no_width(tmp_path):
    vectors, present, quality = VectorShards(tmp_path / "new").get(["a"])
    assert (vectors.shape, present.tolist(), quality.tolist()) == ((1, 0), [False], [0.0])


def test_known_keys_are_left_as_they_are(tmp_path):
    shards = VectorShards(tmp_path)
    shards.append(["a"], rows(1), [1.0])
    assert shards.append(["a", "b", "b"], rows(7, 2, 9), [0.1, 1.0, 1.0]) == 1
    assert shards.get(["a", "b"])[0][:, 0].tolist() == [1, 2]
    assert shards.append(["a"], rows(7), [1.0]) == 0
    assert len(shard_files(tmp_path)) == 2


def test_nothing_to_add_writes_nothing(tmp_path):
    assert VectorShards(tmp_path).append([], np.zeros((0, 3), dtype=np.float32), []) == 0
    assert shard_files(tmp_path) == []


@pytest.mark.parametrize(
    ("keys", "vectors", "quality", "message"),
    [
        (["a"], rows(1, 2), [1.0], r"one row and one quality per key, got 1 keys, vectors \[2, 3\], 1 qualities"),
        (["a"], rows(1, width=4), [1.0], "must have width 3, got 4"),
        (["a", "b"], rows(1, np.nan), [1.0, 1.0], "vectors must be finite, the one of key 'b' in row 1 is not"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, keys, vectors, quality, message):
    shards = VectorShards(tmp_path)
    shards.append(["first"], rows(0), [1.0])
    with pytest.raises(DataError, match=message):
        shards.append(keys, vectors, quality)
    assert VectorShards(tmp_path).index.keys() == {"first"}


def test_half_written_files_are_ignored_and_cleaned(tmp_path):
    shards = VectorShards(tmp_path)
    shards.append(["a"], rows(1), [1.0])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    of_the_dead = tmp_path / f".x.safetensors.{gone.pid}.draft"
    of_the_living = tmp_path / f".x.safetensors.{os.getpid()}.draft"
    of_the_dead.write_bytes(b"half")
    of_the_living.write_bytes(b"half")
    assert VectorShards(tmp_path).index.keys() == {"a"}
    assert not of_the_dead.exists()
    assert of_the_living.exists()


@pytest.mark.parametrize("damage", [lambda content: content[:-5], lambda content: b"", lambda content: b"\xff" * 40])
def test_a_damaged_shard_is_set_aside_and_its_keys_can_be_made_again(tmp_path, damage, capsys):
    shards = VectorShards(tmp_path)
    shards.append(["a"], rows(1), [1.0])
    shards.append(["b"], rows(2), [1.0])
    name = shards.index.places(["a"])[0].shard
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    reopened = VectorShards(tmp_path)
    assert reopened.index.damaged == (name,)
    assert reopened.index.keys() == {"b"}
    assert (tmp_path / f"{name}.damaged").exists()
    assert reopened.append(["a"], rows(5), [1.0]) == 1
    assert VectorShards(tmp_path).get(["a", "b"])[0][:, 0].tolist() == [5, 2]


def test_flipped_bits_are_found_when_the_vector_is_read(tmp_path, capsys):
    shards = VectorShards(tmp_path)
    shards.append(["a"], rows(1), [1.0])
    shards.append(["b"], rows(2), [1.0])
    name = shards.index.places(["a"])[0].shard
    content = bytearray((tmp_path / name).read_bytes())
    content[-1] ^= 1
    (tmp_path / name).write_bytes(content)
    reopened = VectorShards(tmp_path)
    with pytest.raises(StaleArtifactError, match="must be as it was written, its checksum differs; it was set aside"):
        reopened.get(["a"])
    assert reopened.get(["a", "b"])[1].tolist() == [False, True]
    assert (tmp_path / f"{name}.damaged").exists()


def test_what_another_process_adds_is_seen_after_a_refresh(tmp_path):
    one, other = VectorShards(tmp_path), VectorShards(tmp_path)
    one.append(["a"], rows(1), [1.0])
    assert "a" not in other.index
    other.index.refresh()
    assert "a" in other.index
    one.append(["b"], rows(2), [1.0])
    other.index.refresh()
    assert other.get(["a", "b"])[0][:, 0].tolist() == [1, 2]


def test_vectors_are_mapped_and_not_copied_into_memory(tmp_path):
    shards = VectorShards(tmp_path)
    shards.append(["a"], rows(1), [1.0])
    vectors = shards._read(shards.index.places(["a"])[0].shard)
    assert not vectors.flags.owndata
    assert not vectors.flags.writeable


def test_more_shards_than_may_be_open_at_once(tmp_path):
    shards = VectorShards(tmp_path)
    for number in range(40):
        shards.append([f"k{number}"], rows(number), [1.0])
    assert VectorShards(tmp_path).get([f"k{number}" for number in range(40)])[0][:, 0].tolist() == list(range(40))


def test_two_processes_that_did_the_same_work_share_a_file(tmp_path):
    one, other = VectorShards(tmp_path), VectorShards(tmp_path)
    one.append(["a"], rows(1), [1.0])
    other.append(["a"], rows(1), [1.0])
    assert len(shard_files(tmp_path)) == 1


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=4), max_size=5),
    st.lists(st.sampled_from("abcdxyz"), max_size=8),
)
def test_shards_behave_like_a_dictionary_that_only_grows(tmp_path_factory, writes, asked):
    folder = tmp_path_factory.mktemp("shards")
    shards, expected, number = VectorShards(folder), {}, 0.0
    for keys in writes:
        values = []
        for key in keys:
            number += 1
            values.append(number)
            expected.setdefault(key, number)
        shards.append(keys, rows(*values) if keys else np.zeros((0, 3), dtype=np.float32), [1.0] * len(keys))
    vectors, present, _ = VectorShards(folder).get(asked)
    assert present.tolist() == [key in expected for key in asked]
    if expected:
        assert vectors[:, 0].tolist() == [expected.get(key, 0.0) for key in asked]
