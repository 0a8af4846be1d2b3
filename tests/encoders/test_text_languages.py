"""Texts that an encoder cannot read are named."""

import numpy as np
import pytest

from kinema.encoders.languages import reading_notice, unread_share
from kinema.encoders.text import load_text_encoder
from tiny_encoders import save_bert

ENGLISH = "Two friends repair an old motorcycle and drive to the sea."
CHINESE = "两个朋友修好了一辆旧摩托车，开车去海边看日落，路上遇到了大雨。"  # noqa: RUF001  # Chinese as it is written
RUSSIAN = "Два друга чинят старый мотоцикл и едут к морю."  # Russian as it is written
GREEK = "Δύο φίλοι επισκευάζουν μια παλιά μοτοσικλέτα."  # Greek as it is written


@pytest.fixture(scope="module")
def minilm():
    return load_text_encoder("packaged:minilm")


def test_the_packaged_english_encoder_says_what_it_cannot_read(minilm):
    texts = [ENGLISH, CHINESE, RUSSIAN, GREEK, "Amélie à Paris", "2001: 1984", ""]
    readable = minilm.readable(texts)
    assert readable[[0, 4, 5, 6]].tolist() == [1.0] * 4
    assert readable[[1, 2, 3]].max() < 0.5
    notice = reading_notice(readable, texts, name=minilm.name)
    assert notice.startswith("text encoder 'packaged:minilm' hardly reads 3 of 7 texts, such as '两个朋友")
    assert reading_notice(readable[:1], texts[:1], name=minilm.name) == ""


def test_unknown_words_are_unread_letters(tmp_path):
    tokenizer = load_text_encoder(save_bert(tmp_path, "BertModel"))._tokenizer
    assert unread_share(tokenizer, "ak bl") == 0.0
    assert unread_share(tokenizer, "ak zzzz") == pytest.approx(4 / 6)
    assert unread_share(tokenizer, "?! 12") == 0.0


def test_a_text_that_is_not_read_at_all_has_quality_zero(tmp_path):
    encoder = load_text_encoder(save_bert(tmp_path, "BertModel"))
    assert encoder.readable(["zzzz yyy", "ak", "ak zzzz"]) == pytest.approx([0.0, 1.0, 2 / 6])
    assert encoder.readable([]).dtype == np.float32
