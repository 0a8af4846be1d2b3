"""Token shards: ragged rows that come back as they were written, or not at all."""

import numpy as np
import pytest

from kinema.errors import DataError, StaleArtifactError
from kinema.store.features import ModalityTokens
from kinema.store.tokens import TokenShards


def tokens_of(length, value=1.0, width=3):
    return np.full((length, width), value, dtype=np.float16)


def times_of(length):
    return np.arange(length, dtype=np.int64) * 100


def add(shards, **lengths):
    keys = list(lengths)
    values = [ord(key[0]) for key in keys]
    shards.append(
        keys,
        [tokens_of(lengths[key], value) for key, value in zip(keys, values, strict=True)],
        [times_of(lengths[key]) for key in keys],
        [1.0 if lengths[key] else 0.0 for key in keys],
    )


def test_clips_of_different_length_come_back_in_the_order_asked(tmp_path):
    shards = TokenShards(tmp_path)
    add(shards, a=2, b=5)
    add(shards, c=0, d=1)
    for opened in (shards, TokenShards(tmp_path)):
        some = opened.get(["d", "x", "b", "c", "a", "a"])
        assert some.tokens_MD.dtype == np.float16
        assert np.diff(some.offsets).tolist() == [1, 0, 5, 0, 2, 2]
        assert some.of(2)[0][:, 0].tolist() == [ord("b")] * 5
        assert some.of(2)[1].tolist() == [0, 100, 200, 300, 400]
        assert some.quality_N.tolist() == [1, 0, 1, 0, 1, 1]
        assert opened.lengths(["b", "x", "c", "a"]).tolist() == [5, 0, 0, 2]
        assert (len(opened.index), opened.width, "c" in opened.index, "x" in opened.index) == (4, 3, True, False)


def test_a_block_for_attention_has_a_mask(tmp_path):
    shards = TokenShards(tmp_path)
    add(shards, a=2, b=1)
    tokens, times, there = shards.get(["b", "a", "x"]).padded()
    assert there.tolist() == [[True, False], [True, True], [False, False]]
    assert tokens[:, :, 0].tolist() == [[98, 0], [97, 97], [0, 0]]
    assert times.tolist() == [[0, 0], [0, 100], [0, 0]]
    assert tokens.dtype == np.float32
    assert TokenShards(tmp_path / "new").get(["a"]).padded()[0].shape == (1, 1, 0)


@pytest.mark.parametrize(
    ("tokens", "times", "message"),
    [
        (tokens_of(2, width=4), times_of(2), r"tokens of key 'k' must have shape \[2, 3\], have \[2, 4\]"),
        (tokens_of(2), times_of(1), r"tokens of key 'k' must have shape \[1, 3\], have \[2, 3\]"),
        (tokens_of(1, np.inf), times_of(1), "tokens must be finite in half precision, those of key 'k' are not"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, tokens, times, message):
    shards = TokenShards(tmp_path)
    add(shards, a=1)
    with pytest.raises(DataError, match=message):
        shards.append(["k"], [tokens], [times], [1.0])
    with pytest.raises(DataError, match="one array with times and a quality per key, got 1 keys, 0 arrays"):
        shards.append(["k"], [], [], [])
    assert TokenShards(tmp_path).index.keys() == {"a"}


def test_flipped_bits_are_found_when_the_clip_is_read(tmp_path, capsys):
    shards = TokenShards(tmp_path)
    add(shards, a=40, b=40)
    path = next(tmp_path.glob("*.safetensors"))
    content = bytearray(path.read_bytes())
    content[content.rindex(np.float16(ord("b")).tobytes() * 8)] ^= 1
    path.write_bytes(content)
    reopened = TokenShards(tmp_path)
    assert len(reopened.get(["a"]).of(0)[1]) == 40
    with pytest.raises(StaleArtifactError, match=r"its checksum differs; it was set aside, .* kinema extract"):
        reopened.get(["b"])
    assert reopened.index.keys() == set()
    assert path.with_name(path.name + ".damaged").exists()


def test_a_truncated_shard_is_set_aside(tmp_path, capsys):
    add(TokenShards(tmp_path), a=40)
    path = next(tmp_path.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-8])
    reopened = TokenShards(tmp_path)
    assert reopened.index.damaged == (path.name,)
    add(reopened, a=40)
    assert "a" in TokenShards(tmp_path).index


def test_items_find_their_tokens_by_content(tmp_path):
    shards = TokenShards(tmp_path)
    add(shards, a=2, b=1)
    tokens = ModalityTokens("frames", ("b", "", "a", "b"), shards, "e1")
    assert tokens.width == 3
    assert tokens.lengths().tolist() == [1, 0, 2, 1]
    assert tokens.get(np.array([2, 3, 1])).tokens_MD[:, 0].tolist() == [97, 97, 98]
