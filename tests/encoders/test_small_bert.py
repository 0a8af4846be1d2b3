"""A packaged BERT read without transformers gives what transformers gives."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from kinema.encoders.small_bert import SmallBert, WordPieces
from kinema.encoders.text import TextEncoder, load_text_encoder
from kinema.encoders.weights import packaged_file
from kinema.errors import StaleArtifactError

TEXTS = [
    "a cat sits on a mat",
    "",
    "The moon over a quiet harbour, " * 3,
    "Привет, мир",
    "東京 タワー",
    "Café NAÏVE ÀÉ [MASK] [SEP] x",
    "control\x00 characters\ufffd\u200b and\ttabs",
    "sentence after sentence. " * 150,
    "q" * 120,
]


@pytest.fixture(scope="module")
def folder():
    return packaged_file("packaged:minilm", role="text").parent


@pytest.fixture(scope="module")
def light():
    return load_text_encoder("packaged:minilm")


@pytest.fixture(scope="module")
def reference(folder):
    return TextEncoder(
        name="packaged:minilm",
        model=transformers.AutoModel.from_pretrained(folder),
        tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
        pooling="mean",
        max_tokens=256,
        batch_size=32,
        device="cpu",
    )


def test_vectors_are_those_of_transformers_and_kept_ones_stay_valid(light, reference):
    assert light.fingerprint == reference.fingerprint
    assert light.encode(TEXTS) == pytest.approx(reference.encode(TEXTS), abs=1e-5)
    assert light.readable(TEXTS) == pytest.approx(reference.readable(TEXTS))


def test_texts_are_split_as_transformers_splits_them(folder):
    ours, theirs = WordPieces(folder), transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        for special in (True, False):
            settings = {"add_special_tokens": special, "return_offsets_mapping": True, "verbose": False}
            one, other = ours(text, **settings), theirs(text, **settings)
            assert list(one["input_ids"]) == list(other["input_ids"])
            assert list(one["offset_mapping"]) == list(other["offset_mapping"])
    batch = {"padding": True, "truncation": True, "max_length": 12, "return_tensors": "pt"}
    one, other = ours(TEXTS, **batch), theirs(TEXTS, **batch)
    assert torch.equal(one["input_ids"], other["input_ids"])
    assert torch.equal(one["attention_mask"], other["attention_mask"])
    names = ("model_max_length", "pad_token", "pad_token_id", "unk_token_id", "eos_token_id", "is_fast")
    assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
    assert ours.num_special_tokens_to_add() == theirs.num_special_tokens_to_add()


@pytest.fixture
def tiny(tmp_path):
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24
    )
    config._attn_implementation = "eager"
    transformers.set_seed(0)
    model = transformers.BertModel(config).eval()
    with torch.no_grad():
        for one in model.parameters():
            one.add_(0.2 * torch.randn_like(one))
    model.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny", model


def test_padding_hides_tokens_from_each_other_as_it_does_there(tiny):
    folder, model = tiny
    tokens = torch.randint(30, (3, 9), generator=torch.Generator().manual_seed(1))
    shown = torch.tensor([[1] * 9, [1] * 4 + [0] * 5, [1] + [0] * 8])
    with torch.inference_mode():
        ours = SmallBert.load(folder)(tokens, shown).last_hidden_state
        theirs = model(input_ids=tokens, attention_mask=shown).last_hidden_state
    assert np.abs((ours - theirs)[shown.bool()].numpy()).max() < 1e-5


def test_weights_of_another_network_are_refused(tiny):
    folder, _ = tiny
    state = load_file(folder / "model.safetensors")
    save_file({name: one for name, one in state.items() if "query.bias" not in name}, folder / "model.safetensors")
    with pytest.raises(
        StaleArtifactError, match=r"weights in 'tiny' must be those of its config.json, are others, such as"
    ):
        SmallBert.load(folder)


def test_another_kind_of_network_is_refused(tiny, tmp_path):
    folder = shutil.copytree(tiny[0], tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    with pytest.raises(StaleArtifactError, match=r"'other/config.json' must describe a BERT encoder with"):
        SmallBert.load(folder)
