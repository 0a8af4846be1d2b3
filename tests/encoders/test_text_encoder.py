"""Text encoders: the packaged one, and any BERT from a folder."""

import json

import numpy as np
import pytest
import transformers

from kinema.encoders.text import item_text, load_text_encoder
from kinema.encoders.weights import find_checkpoint
from kinema.errors import ConfigError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "sea", "moon", "chess"]


@pytest.fixture(scope="module")
def minilm():
    return load_text_encoder("packaged:minilm")


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-bert")
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=12,
    )
    transformers.set_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def test_meaning_decides_the_distance(minilm):
    vectors = minilm.encode(["a cat sits on a mat", "a kitten on the rug", "stock markets fell today"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


def test_a_text_does_not_depend_on_its_batch(minilm):
    texts = ["sea", "the moon over a quiet harbour " * 20, "chess", ""]
    together = minilm.encode(texts)
    alone = np.concatenate([minilm.encode([text]) for text in texts])
    assert together == pytest.approx(alone, abs=1e-5)


def test_queries_and_items_share_a_space_where_no_prefix_is_known(minilm):
    assert minilm.encode_query_text(["space rockets"]) == pytest.approx(minilm.encode(["space rockets"]), abs=1e-6)
    assert find_checkpoint("intfloat/multilingual-e5-small").query_prefix == "query: "


def test_no_text_gives_no_rows(minilm):
    assert minilm.encode([]).shape == (0, 384)


def test_a_folder_with_any_bert_is_loaded(tiny_folder):
    encoder = load_text_encoder(str(tiny_folder))
    vectors = encoder.encode(["cat dog", "moon " * 50])
    assert vectors.shape == (2, encoder.width) == (2, 16)
    assert np.isfinite(vectors).all()
    assert load_text_encoder(str(tiny_folder)).fingerprint == encoder.fingerprint
    assert load_text_encoder(str(tiny_folder), max_tokens=8).fingerprint != encoder.fingerprint


def test_the_pooling_a_folder_asks_for_is_used(tiny_folder, tmp_path):
    mean = load_text_encoder(str(tiny_folder), pooling="mean")
    cls = load_text_encoder(str(tiny_folder), pooling="cls")
    assert np.abs(mean.encode(["cat dog"]) - cls.encode(["cat dog"])).max() > 0.01
    (tiny_folder / "1_Pooling").mkdir()
    (tiny_folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert load_text_encoder(str(tiny_folder)).fingerprint == cls.fingerprint


def test_loading_prints_nothing(tiny_folder, capfd):
    load_text_encoder(str(tiny_folder))
    assert capfd.readouterr() == ("", "")


def test_a_missing_model_is_one_clear_error():
    with pytest.raises(
        ConfigError, match=r"'nobody/nothing' cannot be loaded: .* without a text encoder items have no text vector"
    ):
        load_text_encoder("nobody/nothing")


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="max_tokens >= 8 and batch_size >= 1, got 4 and 1"):
        load_text_encoder("packaged:minilm", max_tokens=4, batch_size=1)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            {"title": "Heat.", "description": " A  thief\nand a cop. ", "categories": ["Crime"], "tags": ["90s", ""]},
            "Heat. A thief and a cop. Crime. 90s",
        ),
        ({"title": "", "description": None, "categories": None}, ""),
        ({}, ""),
    ],
)
def test_item_texts_join_what_is_there(row, text):
    assert item_text(row) == text
