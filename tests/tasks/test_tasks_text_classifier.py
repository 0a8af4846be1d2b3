"""Texts get labels: as transformers' own classifier says, by length and in any order, and learnt from what distinguishes them."""

import numpy as np
import pytest
import torch
import torchmetrics.functional as tm
import transformers

from kinema.encoders.weights import find_checkpoint
from kinema.errors import ConfigError, DataError
from kinema.extras import is_installed
from kinema.flm.draws import Draws
from kinema.tasks.text_classifier import HEAD, TextLearner, load_text_classifier, text_metrics
from kinema.tasks.text_tokens import label_texts
from kinema.training.fitting import FitOptions, fit
from kinema.training.parameter_choice import METHODS, Choice, choose
from kinema.training.parameter_delta import put_on, save_delta
from tiny_encoders import NOISE, SMALL, TOKENS, TOPICS, WORDS, save_bert, save_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"), "BertModel")


def pairs(count, *, seed=0):
    """Two texts each; the label says whether they are of one topic."""
    random = np.random.default_rng(seed)
    topics_2N = random.integers(0, TOPICS, (2, count))
    topics_2N[1] = np.where(random.random(count) < 0.5, topics_2N[0], topics_2N[1])

    def text(topic):
        own = random.choice(WORDS[topic * 8 : topic * 8 + 8], int(random.integers(1, 4)), replace=False)
        return " ".join([*own, str(random.choice(NOISE))])

    firsts, seconds = ([text(topic) for topic in row] for row in topics_2N)
    return firsts, seconds, (topics_2N[0] == topics_2N[1]).astype(np.int64)


def first_words(count, *, seed):
    """Single texts; the label says whether the topic is one of the first half."""
    firsts, _, _ = pairs(count, seed=seed)
    return firsts, None, [int(text[0] in "abc") for text in firsts]


def learner_of(folder, *, count=48, head="first", **settings):
    network, tokenizer = load_text_classifier(folder, head=head, inner=8, **settings)
    train, valid = (label_texts(tokenizer, *pairs(count, seed=seed)) for seed in (0, 1))
    return TextLearner(network, train, valid, part_size=16)


def test_the_network_says_what_the_sequence_classifier_of_transformers_says(tmp_path):
    config = transformers.BertConfig(
        **SMALL, vocab_size=len(TOKENS), intermediate_size=64, max_position_embeddings=40, num_labels=3
    )
    transformers.set_seed(0)
    theirs = transformers.BertForSequenceClassification(config).eval()
    theirs.save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    network, tokenizer = load_text_classifier(str(tmp_path), num_classes=3)
    assert torch.equal(network.head.dense.weight, theirs.bert.pooler.dense.weight)
    network.head.out.load_state_dict(theirs.classifier.state_dict())
    firsts, seconds, labels = pairs(6)
    batch = tokenizer(firsts, seconds, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = theirs(**batch).logits
        assert torch.allclose(network.eval()(batch), expected, atol=1e-6)
    texts = label_texts(tokenizer, firsts, seconds, labels)
    assert all(torch.equal(texts.batch(np.arange(6))[name], one) for name, one in batch.items())
    found = TextLearner(network, texts, texts).predict(texts)
    assert np.allclose(found, expected.softmax(-1).numpy(), atol=1e-6)


@pytest.mark.parametrize("head", ["first", "lstm"])
def test_the_loss_is_the_mean_whatever_the_parts_and_the_same_for_the_same_draws(folder, head):
    learner = learner_of(folder, head=head)
    rows_B = np.random.default_rng(0).permutation(48)[:20]
    learner.network.eval()
    plain = learner.loss(rows_B, None)
    probs = learner.predict(learner._train)[rows_B]
    labels = learner._train.labels_N[rows_B]
    assert plain.item() == pytest.approx(-np.log(probs[np.arange(20), labels]).mean(), abs=1e-5)
    learner._part_size = 3
    assert learner.loss(rows_B, None).item() == pytest.approx(plain.item(), abs=1e-5)
    assert not learner.network.training
    one, same, other = (learner.loss(rows_B, Draws(seed)).item() for seed in (1, 1, 2))
    assert one == same
    assert one != other
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    learner.loss(rows_B, Draws(1))
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("head", ["first", "lstm"])
def test_what_tells_the_pairs_apart_is_learnt(folder, head):
    network, tokenizer = load_text_classifier(folder, head=head, inner=8)
    sets = [label_texts(tokenizer, *first_words(120, seed=seed)) for seed in (0, 1)]
    learner = TextLearner(network, *sets)
    options = FitOptions(metric="auc", batch_size=24, learning_rate=5e-3, max_epochs=8, patience=8)
    report = fit(learner, options, seed=0)
    assert report.curve[-1]["loss"] < 0.8 * report.curve[0]["loss"]
    assert report.metrics["auc"] > 0.8


@pytest.mark.parametrize("method", METHODS)
def test_what_a_classifier_has_learnt_is_kept_without_the_encoder(folder, method, tmp_path):
    learner = learner_of(folder)
    chosen = choose(learner.network, Choice(method, layers=1, rank=2, width=4, length=3), heads=(HEAD,))
    fit(learner, FitOptions(metric="log_loss", batch_size=24, learning_rate=1e-2, max_epochs=1), seed=0)
    expected = learner.predict(learner.valid)
    save_delta(chosen, tmp_path / "delta")
    again = learner_of(folder, seed=9)
    assert not np.allclose(again.predict(again.valid), expected, atol=1e-4)
    put_on(again.network, tmp_path / "delta")
    assert np.array_equal(again.predict(again.valid), expected)


def test_an_encoder_that_does_not_learn_drops_nothing(folder):
    learner = learner_of(folder)
    assert learner.network.train().encoder.training
    assert len(learner.embeddings()) == 1
    choose(learner.network, Choice("frozen"), heads=(HEAD,))
    assert not learner.network.train().encoder.training
    assert learner.network.head.training
    assert learner.embeddings() == []


@pytest.mark.parametrize("head", ["first", "lstm"])
def test_padding_is_not_read(folder, head):
    network, tokenizer = load_text_classifier(folder, head=head, inner=8)
    texts = label_texts(tokenizer, ["ak", "ak al am an ao"], None, [0, 1])
    with torch.inference_mode():
        both, alone = (network.eval()(texts.batch(np.array(rows))) for rows in ([0, 1], [0]))
    assert torch.allclose(both[:1], alone, atol=1e-5)


def test_metrics_agree_with_torchmetrics():
    random = np.random.default_rng(0)
    labels_N = random.integers(0, 2, 200)
    ones_N = np.round(random.random(200), 1).astype(np.float32)
    found = text_metrics(labels_N, np.stack([1 - ones_N, ones_N], axis=1))
    probs, target = torch.from_numpy(ones_N), torch.from_numpy(labels_N)
    assert found["auc"] == pytest.approx(tm.auroc(probs, target, task="binary").item(), abs=1e-6)
    three = random.dirichlet(np.ones(3), 50).astype(np.float32)
    classes = random.integers(0, 3, 50)
    found = text_metrics(classes, three)
    expected = tm.accuracy(torch.from_numpy(three), torch.from_numpy(classes), task="multiclass", num_classes=3)
    assert found["accuracy"] == pytest.approx(expected.item(), abs=1e-6)
    nll = torch.nn.functional.nll_loss(torch.from_numpy(three).log(), torch.from_numpy(classes))
    assert found["log_loss"] == pytest.approx(nll.item(), abs=1e-6)
    assert "auc" not in found
    assert "auc" not in text_metrics(np.zeros(3, dtype=np.int64), np.full((3, 2), 0.5, dtype=np.float32))


def test_the_packaged_encoder_becomes_a_classifier():
    known = find_checkpoint("packaged:minilm")
    if not is_installed(known.module):
        pytest.skip("the packaged encoder is not installed")
    network, tokenizer = load_text_classifier("packaged:minilm")
    texts = label_texts(tokenizer, ["a whale sings"], ["dumplings"], [1])
    assert texts.kinds_T.tolist().count(1) > 1
    with torch.inference_mode():
        assert network.eval()(texts.batch(np.array([0]))).shape == (1, 2)


def test_what_cannot_be_classified_is_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"needs a head first or lstm, at least 2 classes .* got 'first', 1 and 0\.1"):
        load_text_classifier(folder, num_classes=1)
    with pytest.raises(ConfigError, match="text encoder must be a packaged name, a folder"):
        load_text_classifier(str(tmp_path / "nowhere"))
    network, tokenizer = load_text_classifier(folder)
    texts, odd = (label_texts(tokenizer, ["ak", "al"], None, labels) for labels in ([0, 1], [0, 5]))
    with pytest.raises(DataError, match="labels must be below the 2 classes of the network, one is 5"):
        TextLearner(network, texts, odd)
    tokenizer.cls_token = None
    tokenizer.save_pretrained(tmp_path / "none")
    network.encoder.save_pretrained(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"must have \[CLS\] and padding tokens to classify, its tokenizer has not"):
        load_text_classifier(str(tmp_path / "none"))
