"""A re-ranker is served from its delta alone, and says what its training network says."""

import numpy as np
import pytest
import torch
import transformers

from kinema.artifacts import write_artifact
from kinema.encoders.weights import weights_digest
from kinema.errors import ConfigError, NotBuiltError, StaleArtifactError
from kinema.tasks.cross_encoder import PairForm, RerankLearner, load_cross_encoder
from kinema.tasks.delta_reading import DELTA_FOLDER, read_delta
from kinema.tasks.rerank_cases import RerankCase
from kinema.tasks.reranker import FORMAT_VERSION, KIND, Reranker, RerankerConfig
from kinema.tasks.text_classifier import HEAD
from kinema.training.fitting import FitOptions, fit
from kinema.training.parameter_choice import METHODS, Choice, choose
from kinema.training.parameter_delta import save_delta
from tiny_encoders import SMALL, TOKENS, WORDS, save_bert, save_tokenizer

TEXTS = {item: " ".join(WORDS[item : item + 2 + item % 3]) for item in range(8)}
CASES = [
    RerankCase(
        WORDS[item],
        np.arange(8),
        tuple(TEXTS.values()),
        np.zeros(8),
        np.eye(8, dtype=np.float32)[item],
        frozenset({item}),
    )
    for item in range(8)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"), "BertModel")


def trained(name, method, place):
    """A re-ranker that has learnt for a moment, saved, and what its network says."""
    network, tokenizer = load_cross_encoder(name)
    form = PairForm.of(tokenizer, network.encoder.config, max_tokens=32)
    digest = weights_digest(network.encoder.state_dict())
    chosen = choose(network, Choice(method, layers=1, rank=2, width=4, length=3), heads=(HEAD,))
    learner = RerankLearner(network, tokenizer, form, train=CASES[:4], valid=CASES[4:])
    fit(learner, FitOptions(metric="ndcg", batch_size=2, learning_rate=1e-2, max_epochs=1), seed=0)
    config = RerankerConfig(name, 32, 0.5, 20, method, "listwise", "learnt from a test")
    parents = {"encoder": digest}
    with write_artifact(
        place, kind=KIND, format_version=FORMAT_VERSION, config=config.as_dict(), parents=parents
    ) as draft:
        save_delta(chosen, draft / DELTA_FOLDER)
    return learner.read(CASES)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_served_is_what_was_trained(folder, method, tmp_path):
    expected = trained(folder, method, tmp_path / "rerank")
    reranker = Reranker.load(tmp_path / "rerank")
    texts = [TEXTS[item] for item in range(8)]
    for case, scores in zip(CASES, expected, strict=True):
        assert np.allclose(reranker.read(case.query, texts), scores, atol=1e-5)
    assert reranker.read("nothing", []).shape == (0,)
    assert "learnt from a test" in reranker.config.told


def test_another_family_is_served_by_its_own_network_unless_something_lies_beside(tmp_path):
    transformers.set_seed(0)
    sizes = {"vocab_size": len(TOKENS), "intermediate_size": 64, "max_position_embeddings": 40, "embedding_size": 32}
    transformers.ElectraModel(transformers.ElectraConfig(**SMALL, **sizes)).save_pretrained(tmp_path / "electra")
    save_tokenizer(tmp_path / "electra")
    expected = trained(str(tmp_path / "electra"), "lora", tmp_path / "rerank")
    read = Reranker.load(tmp_path / "rerank").read(CASES[1].query, [TEXTS[item] for item in range(8)])
    assert np.allclose(read, expected[1], atol=1e-5)
    trained(str(tmp_path / "electra"), "adapter", tmp_path / "adapter")
    with pytest.raises(ConfigError, match=r"need an encoder of BERT itself, this is a ElectraModel; use lora"):
        Reranker.load(tmp_path / "adapter")


def test_another_encoder_is_refused(folder, tmp_path):
    name = save_bert(tmp_path / "bert", "BertModel", seed=1)
    trained(name, "lora", tmp_path / "rerank")
    save_bert(tmp_path / "bert", "BertModel", seed=2)
    with pytest.raises(StaleArtifactError, match=r"must be put on encoder .* run: kinema finetune rerank"):
        Reranker.load(tmp_path / "rerank")
    with pytest.raises(NotBuiltError, match=r"no reranker artefact in 'none'; run: kinema finetune rerank"):
        Reranker.load(tmp_path / "none")


def test_a_delta_of_other_weights_is_refused(folder, tmp_path):
    trained(folder, "lora", tmp_path / "rerank")
    delta = read_delta(tmp_path / "rerank" / DELTA_FOLDER, remedy="x")
    assert not delta.beside
    assert delta.num_parameters > sum(one.numel() for one in delta.head.values())
    with pytest.raises(StaleArtifactError, match=r"must be put on the encoder it was taken from, this one has no '"):
        delta.phi({"other.weight": torch.zeros(1)})
