"""A query and a text become one row of tokens and one score, learnt from what is right among candidates."""

import numpy as np
import pytest
import torch
import transformers
from torch.nn import functional

from kinema.errors import ConfigError, DataError
from kinema.flm.draws import Draws
from kinema.tasks.cross_encoder import PairForm, RerankLearner, candidate_text, load_cross_encoder, text_tokens
from kinema.tasks.rerank_cases import RerankCase, judge
from kinema.training.fitting import FitOptions, fit
from tiny_encoders import SMALL, TOKENS, TOPICS, WORDS, save_bert, save_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"), "BertModel")


def words(random, topic, count=3):
    return " ".join(random.choice(WORDS[topic * 8 : topic * 8 + 8], count, replace=False))


def world(count, *, seed=0, candidates=4, items=60):
    """Texts of topics, and queries whose right candidate is the only one of their topic."""
    random = np.random.default_rng(seed)
    texts = {item: words(random, item % TOPICS) for item in range(items)}
    cases = []
    for _ in range(count):
        topic = int(random.integers(TOPICS))
        right = int(random.choice([item for item in texts if item % TOPICS == topic]))
        wrong = random.choice([item for item in texts if item % TOPICS != topic], candidates - 1, replace=False)
        chosen = random.permutation([right, *wrong])
        grades = (chosen == right).astype(np.float32)
        read = tuple(texts[item] for item in chosen.tolist())
        query = words(random, topic, 2)
        cases.append(RerankCase(query, chosen, read, np.zeros(candidates), grades, frozenset({right})))
    return cases


def learner_of(folder, *, loss="listwise", count=12, **settings):
    cases = world(count)
    network, tokenizer = load_cross_encoder(folder)
    form = PairForm.of(tokenizer, network.encoder.config, max_tokens=32)
    half = count // 2
    return RerankLearner(network, tokenizer, form, train=cases[:half], valid=cases[half:], loss=loss, **settings)


def test_a_row_is_what_the_tokenizer_makes_of_a_pair(folder):
    _, tokenizer = load_cross_encoder(folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    form = PairForm.of(tokenizer, config, max_tokens=32)
    queries, texts = [WORDS[0], f"{WORDS[1]} {WORDS[2]}"], [f"{WORDS[3]}. {WORDS[4]}", WORDS[5]]
    tokens = [[text_tokens(tokenizer, one) for one in some] for some in (queries, texts)]
    expected = tokenizer(queries, texts, padding=True, return_tensors="pt")
    found = form.batch(*tokens)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_a_long_query_leaves_room_for_the_item(folder):
    _, tokenizer = load_cross_encoder(folder)
    form = PairForm.of(tokenizer, transformers.AutoConfig.from_pretrained(folder), max_tokens=16)
    batch = form.batch([list(range(7, 40))], [list(range(40, 60))])
    assert batch["input_ids"].shape == (1, 16)
    assert int(batch["token_type_ids"].sum()) == 8
    with pytest.raises(ConfigError, match=r"max_tokens of a query with an item must be >= 16, is 4; raise it"):
        PairForm.of(tokenizer, transformers.AutoConfig.from_pretrained(folder), max_tokens=4)
    tokenizer.sep_token = None
    with pytest.raises(ConfigError, match=r"must have \[CLS\], \[SEP\] and padding tokens to read pairs"):
        PairForm.of(tokenizer, transformers.AutoConfig.from_pretrained(folder), max_tokens=32)


def test_both_losses_are_those_of_the_definition(folder):
    learner = learner_of(folder)
    reads = learner.read(learner._train)
    rows = np.array([4, 1])
    expected = np.mean(
        [
            functional.cross_entropy(
                torch.tensor(reads[row])[None], torch.tensor([int(learner._train[row].grades_K.argmax())])
            ).item()
            for row in rows
        ]
    )
    learner.network.eval()
    assert learner.loss(rows, None).item() == pytest.approx(expected, abs=1e-5)
    learner._loss = "pointwise"
    scores, grades = (
        torch.tensor(np.concatenate(some))
        for some in ([reads[row] for row in rows], [learner._train[row].grades_K for row in rows])
    )
    expected = functional.binary_cross_entropy_with_logits(scores, grades).item()
    assert learner.loss(rows, None).item() == pytest.approx(expected, abs=1e-5)


def test_scores_do_not_depend_on_the_parts_and_a_loss_follows_from_its_draws(folder):
    learner = learner_of(folder)
    whole = learner.read(learner._valid)
    learner._part_size = 3
    parts = learner.read(learner._valid)
    assert all(np.allclose(one, other, atol=1e-5) for one, other in zip(whole, parts, strict=True))
    rows = np.arange(3)
    one, same, other = (learner.loss(rows, Draws(seed)).item() for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize("loss", ["listwise", "pointwise"])
def test_which_text_answers_a_query_is_learnt(folder, loss):
    cases = world(150)
    network, tokenizer = load_cross_encoder(folder)
    form = PairForm.of(tokenizer, network.encoder.config, max_tokens=32)
    learner = RerankLearner(network, tokenizer, form, train=cases[:110], valid=cases[110:], loss=loss)
    before = float(judge(cases[110:], learner.read(cases[110:]), weight=1.0)["mrr"].mean())
    options = FitOptions(metric="mrr_alone", batch_size=10, learning_rate=3e-3, max_epochs=10, patience=10)
    report = fit(learner, options, seed=0)
    assert report.metrics["mrr_alone"] > max(before, 0.52) + 0.1
    assert report.metrics["ndcg"] >= report.metrics["ndcg_alone"] - 1e-9


def test_a_public_cross_encoder_brings_its_head(tmp_path):
    config = transformers.BertConfig(
        **SMALL, vocab_size=len(TOKENS), intermediate_size=64, max_position_embeddings=40, num_labels=1
    )
    transformers.set_seed(0)
    theirs = transformers.BertForSequenceClassification(config).eval()
    theirs.save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    network, tokenizer = load_cross_encoder(str(tmp_path))
    batch = tokenizer([WORDS[0]], [WORDS[9]], return_tensors="pt")
    with torch.inference_mode():
        assert torch.allclose(network.eval()(batch), theirs(**batch).logits, atol=1e-6)


def test_nothing_to_learn_from_is_refused(folder):
    cases = world(3)
    network, tokenizer = load_cross_encoder(folder)
    form = PairForm.of(tokenizer, network.encoder.config, max_tokens=32)
    with pytest.raises(DataError, match=r"needs queries to learn from and others to validate on, got 3 and 0"):
        RerankLearner(network, tokenizer, form, train=cases, valid=[])


def test_an_item_is_read_by_title_and_description():
    assert candidate_text({"title": None, "description": "Two.", "categories": ["x"]}) == "Two"


def test_token_vectors_may_be_moved_where_they_learn(folder):
    learner = learner_of(folder)
    assert len(learner.embeddings()) == 1
    learner.network.encoder.requires_grad_(requires_grad=False)
    assert learner.embeddings() == []
