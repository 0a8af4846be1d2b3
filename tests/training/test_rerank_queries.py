"""Queries taken out of texts, words that are alike, and translations there and back."""

import numpy as np
import pytest
import transformers

from kinema.errors import ConfigError, DataError
from kinema.training import translation
from kinema.training.augmentation import back_translate
from kinema.training.parameter_choice import METHODS
from kinema.training.rerank_queries import as_if_asked, make_query
from kinema.training.text_learning import RATES, read_synonyms, similar_words
from kinema.training.translation import load_translation
from tiny_encoders import TOKENS, save_tokenizer

ROW = {"title": "Otters at home", "description": "They live in cold rivers. A pup learns to swim quickly. Fish!"}


def made(row, **settings):
    return [make_query(0, row, np.random.default_rng(seed), **settings) for seed in range(60)]


def test_what_is_asked_for_is_gone_from_the_item():
    for one in made(ROW):
        assert one.taken not in f"{one.title}. {one.description}"
        words = one.taken.lower().replace(".", "").split()
        assert set(one.query.lower().split()) <= set(words)
        assert one.taken in {ROW["title"], "They live in cold rivers.", "A pup learns to swim quickly."}
    assert {one.taken for one in made(ROW)} >= {ROW["title"], "They live in cold rivers."}


def test_a_title_alone_is_asked_for_by_some_of_its_words_and_stays():
    for one in made({"title": "the quiet river at dawn", "description": None}):
        assert one.title == "the quiet river at dawn"
        assert set(one.query.split()) <= set(one.title.split())
    assert made({"title": "Alien", "description": ""}) == [None] * 60
    assert made({"title": None, "description": "One sentence only."})[0] is None


def test_other_items_lose_a_piece_of_the_same_kind_but_never_the_answer():
    other = {"title": "Kites", "description": "They fly. In wind. On strings."}
    for seed in range(20):
        random = np.random.default_rng(seed)
        assert as_if_asked(other, "title", random) == ("", other["description"])
        assert as_if_asked(other, "words", random) == ("Kites", other["description"])
        title, description = as_if_asked(other, "sentence", random, keep="In wind.")
        assert title == "Kites"
        assert "In wind." in description
        assert len(description) < len(other["description"])
    assert as_if_asked({"title": "Kites", "description": None}, "title", random) == ("Kites", "")
    assert as_if_asked({"title": "", "description": "One."}, "sentence", random) == ("", "One.")


def test_synonyms_stand_for_words_of_a_query():
    found = made(ROW, synonyms={"rivers": ["streams"], "swim": ["dive"]})
    assert any("streams" in one.query or "dive" in one.query for one in found)


def test_the_same_draws_make_the_same_queries():
    assert made(ROW) == made(ROW)


def test_every_way_of_learning_has_a_step_size():
    assert set(METHODS) == set(RATES)


def test_a_table_of_synonyms_is_read(tmp_path):
    (tmp_path / "s.csv").write_text("word,synonyms\nRiver,stream| brook\nsea,\n")
    assert read_synonyms(tmp_path / "s.csv") == {"river": ("stream", "brook")}
    (tmp_path / "bad.csv").write_text("word,others\na,b\n")
    with pytest.raises(DataError, match=r"must have the columns word and synonyms, .* has no 'synonyms'"):
        read_synonyms(tmp_path / "bad.csv")
    (tmp_path / "none.csv").write_text("word,synonyms\na,\n")
    with pytest.raises(DataError, match=r"must have at least one word with another"):
        read_synonyms(tmp_path / "none.csv")


class Words:
    """A tokenizer that knows these words only."""

    def __init__(self, names):
        self.names = names

    def get_vocab(self):
        return {name: number for number, name in enumerate(self.names)}


def test_near_words_are_found_by_the_vectors_of_their_tokens():
    tokenizer = Words(["river", "stream", "rocket", "##ly", "a1b2", "Ġbrook"])
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [1, 0], [1, 0], [0.8, 0.2]], dtype=np.float32)
    found = similar_words(tokenizer, vectors, ["A River, again", "no such word"])
    assert found == {"river": ("stream", "brook")}
    assert similar_words(tokenizer, vectors, ["nothing known"]) == {}


def test_texts_go_there_and_back_by_two_models_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setattr(translation, "_MOST_TOKENS", 6)
    config = transformers.BartConfig(
        vocab_size=len(TOKENS),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=300,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        decoder_start_token_id=2,
        forced_eos_token_id=3,
    )
    for name in ("there", "back"):
        transformers.set_seed(len(name))
        transformers.BartForConditionalGeneration(config).save_pretrained(tmp_path / name)
        save_tokenizer(tmp_path / name)
    translate = load_translation(tmp_path / "there", tmp_path / "back", batch_size=2)
    texts = ["ak al", "bm", "cn co cp"]
    told = translate(list(texts))
    assert len(told) == 3
    assert translate(list(texts)) == told
    assert len(back_translate(texts, np.random.default_rng(0), translate=translate, share=1.0)) == 3
    with pytest.raises(ConfigError, match=r"--back must be a folder with a translation model of transformers"):
        load_translation(tmp_path / "there", tmp_path / "nowhere")
