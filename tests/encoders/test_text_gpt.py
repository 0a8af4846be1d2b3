"""Decoders of the GPT family as text encoders, and how tokens are pooled."""

import json

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers import decoders as token_decoders

from kinema.encoders.checkpoint_files import checkpoint_json
from kinema.encoders.text import load_text_encoder
from kinema.encoders.text_pooling import declared_pooling, is_decoder, pool_tokens
from kinema.errors import ConfigError

TEXTS = ["cat dog", "sea", "moon chess cat dog sea moon", ""]


@pytest.fixture(scope="module")
def gpt(tmp_path_factory):
    """A GPT-2 with random weights whose tokenizer has no padding token and puts nothing around a text."""
    folder = tmp_path_factory.mktemp("gpt")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: place for place, token in enumerate(["<|endoftext|>", *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = token_decoders.ByteLevel()
    end = "<|endoftext|>"
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=end, eos_token=end, unk_token=end, model_max_length=64
    ).save_pretrained(folder)
    transformers.set_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(vocabulary), n_embd=16, n_layer=2, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=0
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def test_a_decoder_without_a_padding_token_reads_batches(gpt):
    encoder = load_text_encoder(str(gpt))
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (4, encoder.width) == (4, 16)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert vectors == pytest.approx(alone, abs=1e-5)
    assert load_text_encoder(str(gpt)).fingerprint == encoder.fingerprint


def test_the_last_token_is_the_last_real_one(gpt):
    encoder = load_text_encoder(str(gpt), pooling="last")
    coded = encoder._tokenizer("cat dog", return_tensors="pt")
    with torch.inference_mode():
        last = encoder._model(**coded).last_hidden_state[0, -1].numpy()
    assert encoder.encode(TEXTS)[0] == pytest.approx(last / np.linalg.norm(last), abs=1e-5)


def test_settings_beside_the_weights_choose_the_pooling(gpt):
    usual = load_text_encoder(str(gpt))
    assert usual.fingerprint == load_text_encoder(str(gpt), pooling="weighted").fingerprint
    (gpt / "1_Pooling").mkdir()
    settings = gpt / "1_Pooling" / "config.json"
    settings.write_text(json.dumps({"pooling_mode_lasttoken": True}))
    try:
        last = load_text_encoder(str(gpt))
        assert last.fingerprint == load_text_encoder(str(gpt), pooling="last").fingerprint != usual.fingerprint
        settings.write_text("{")
        with pytest.raises(ConfigError, match=r"'1_Pooling/config.json' of text encoder '.*' must be JSON"):
            load_text_encoder(str(gpt))
    finally:
        settings.unlink()
        settings.parent.rmdir()


def test_a_long_text_is_read_beyond_the_positions_of_the_decoder(gpt):
    encoder = load_text_encoder(str(gpt))
    long = "cat dog sea moon " * 20
    assert np.isfinite(encoder.encode([long])).all()
    assert np.abs(encoder.encode([long]) - encoder.encode([long + "chess " * 20])).max() > 1e-4


def test_encoders_and_decoders_are_told_apart():
    assert is_decoder(transformers.GPT2Config())
    assert is_decoder(transformers.LlamaConfig())
    assert not is_decoder(transformers.BertConfig())
    assert not is_decoder(transformers.XLMRobertaConfig())


def test_newer_settings_name_the_pooling_in_a_word():
    assert declared_pooling({"pooling_mode": "weightedmean"}) == "weighted"
    assert declared_pooling({}) is None
    assert checkpoint_json("nobody/nothing", "1_Pooling/config.json", role="text") == {}


def test_padding_never_counts():
    hidden = torch.randn(2, 5, 3)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    changed = hidden.clone()
    changed[0, 3:] = 99.0
    for pooling in ("mean", "cls", "weighted", "last"):
        assert torch.equal(pool_tokens(hidden, mask, pooling), pool_tokens(changed, mask, pooling))
