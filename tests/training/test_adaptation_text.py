"""A text encoder reads on: which heads it has, what is saved, and that a run killed in the middle ends the same."""

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from forked import forked
from killed_runs import steps_done
from kinema.encoders.text import load_text_encoder
from kinema.errors import ConfigError
from kinema.progress import silent
from kinema.training.adaptation import lessons
from kinema.training.adaptation.lessons import Schedule, fit, plan_batches
from kinema.training.adaptation.progress_file import FILE_NAME
from kinema.training.adaptation.text import TextLesson
from kinema.training.adapters import apply_delta
from tiny_encoders import SMALL, TOKENS, save_bert, save_tokenizer, topic_items

pytestmark = pytest.mark.usefixtures("one_thread")

ITEMS = topic_items(40)
SCHEDULE = Schedule(epochs=3, batch_size=8, learning_rate=3e-3, max_seconds=None, seed=1)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"))


def adapt(bert, folder, *, work=None, method="lora", seconds=0.0, progress=silent):
    lesson = TextLesson(bert, ITEMS, method=method, rank=2)
    place = fit(lesson, schedule=SCHEDULE, run="r", folder=work, checkpoint_seconds=seconds, progress=progress)
    lesson.save(folder, base="tiny")
    return place


def numbers(folder):
    files = sorted(Path(folder).rglob("*.safetensors"))
    return {(file.name, name): value.numpy().tobytes() for file in files for name, value in load_file(file).items()}


@pytest.mark.parametrize(
    ("form", "tokens", "pairs"),
    [("BertModel", False, False), ("BertForMaskedLM", True, False), ("BertForPreTraining", True, True)],
)
def test_only_heads_whose_weights_the_checkpoint_has_are_taken_for_its_own(tmp_path, form, tokens, pairs):
    lesson = TextLesson(save_bert(tmp_path, form), ITEMS)
    assert (lesson.has_token_head, lesson.has_pair_head) == (tokens, pairs)
    torch.manual_seed(0)
    parts = lesson.losses(np.arange(8))
    assert list(parts) == ["masked tokens", "next sentence"][: 1 + pairs]
    output = lesson.network.get_output_embeddings().weight
    assert output.data_ptr() == lesson.network.get_input_embeddings().weight.data_ptr()


@pytest.mark.parametrize(
    ("config", "form"),
    [("RobertaConfig", "RobertaForMaskedLM"), ("DistilBertConfig", "DistilBertForMaskedLM")],
)
def test_other_families_are_asked_for_hidden_tokens(tmp_path, config, form):
    sizes = SMALL | {"vocab_size": len(TOKENS), "pad_token_id": 0}
    made = getattr(transformers, config)(**sizes, max_position_embeddings=40)
    transformers.set_seed(0)
    getattr(transformers, form)(made).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    lesson = TextLesson(str(tmp_path), ITEMS)
    assert (lesson.has_token_head, lesson.has_pair_head) == (True, False)
    before = lesson.surprise(seed=0)
    fit(lesson, schedule=SCHEDULE, run="r")
    assert lesson.surprise(seed=0).mean() < before.mean()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_adapted_encoder_is_a_folder_like_any_other_and_the_base_with_its_delta(bert, tmp_path, method):
    base = load_text_encoder(bert)
    adapt(bert, tmp_path, method=method)
    adapted = load_text_encoder(str(tmp_path))
    texts = [item["title"] for item in ITEMS]
    assert adapted.fingerprint != base.fingerprint
    assert np.abs(adapted.encode(texts) - base.encode(texts)).max() > 0.01
    again = transformers.AutoModel.from_pretrained(bert)
    apply_delta(again, tmp_path / "delta")
    state = transformers.AutoModel.from_pretrained(tmp_path).state_dict()
    assert all(torch.allclose(state[name], value, atol=1e-5) for name, value in again.state_dict().items())


def test_saving_and_loading_prints_nothing(bert, tmp_path, capfd):
    adapt(bert, tmp_path)
    assert capfd.readouterr() == ("", "")


def test_pooling_and_prefixes_stay_with_the_encoder(tmp_path):
    base = save_bert(tmp_path / "base")
    (tmp_path / "base" / "1_Pooling").mkdir()
    (tmp_path / "base" / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    prompts = {"prompts": {"query": "xa ", "document": "xb "}}
    (tmp_path / "base" / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    lesson = TextLesson(base, ITEMS)
    lesson.save(tmp_path / "adapted", base="tiny")
    old, new = load_text_encoder(base), load_text_encoder(str(tmp_path / "adapted"))
    assert new.fingerprint == old.fingerprint
    assert np.array_equal(new.encode_query_text(["ak"]), old.encode_query_text(["ak"]))
    assert np.abs(new.encode(["ak"]) - new.encode_query_text(["ak"])).max() > 0.01


def test_the_hidden_tokens_of_a_seed_are_always_the_same(bert):
    lesson = TextLesson(bert, ITEMS)
    assert np.array_equal(lesson.surprise(seed=3), lesson.surprise(seed=3))
    assert not np.array_equal(lesson.surprise(seed=3), lesson.surprise(seed=4))


def test_a_tokenizer_without_a_mask_is_refused(tmp_path):
    folder = save_bert(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.mask_token = None
    tokenizer.save_pretrained(folder)
    with pytest.raises(ConfigError, match="must have a mask token to be adapted, its tokenizer has none"):
        TextLesson(folder, ITEMS)


def test_every_item_is_in_one_batch_of_an_epoch_and_epochs_differ():
    lengths = np.arange(100)
    first, second = (plan_batches(lengths, SCHEDULE, epoch=epoch) for epoch in (0, 1))
    assert sorted(np.concatenate(first).tolist()) == list(range(100))
    assert [one.tolist() for one in first] != [one.tolist() for one in second]
    assert max(np.ptp(lengths[one]) for one in first) < 30


def test_numbers_with_which_nothing_is_learnt_are_refused(bert):
    with pytest.raises(ConfigError, match=r"batch size >= 2.* got 1, 1, 0.001 and None"):
        Schedule(epochs=1, batch_size=1, learning_rate=1e-3, max_seconds=None, seed=0)
    hot = Schedule(epochs=20, batch_size=8, learning_rate=1e30, max_seconds=None, seed=0)
    with pytest.raises(ConfigError, match=r"the loss must stay finite, is .* at step \d+; lower --learning-rate"):
        fit(TextLesson(bert, ITEMS, method="full"), schedule=hot, run="r")


def test_the_time_limit_ends_a_run(bert):
    short = Schedule(epochs=50, batch_size=8, learning_rate=1e-3, max_seconds=1e-6, seed=0)
    assert fit(TextLesson(bert, ITEMS), schedule=short, run="r").total_steps == 1


class PowerCutError(Exception):
    """Stands for the moment the power went off."""


@pytest.fixture(scope="module")
def uninterrupted(bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    adapt(bert, folder)
    return numbers(folder)


@pytest.mark.parametrize("saves", [1, 7])
def test_a_resumed_run_equals_an_uninterrupted_one(bert, uninterrupted, tmp_path, monkeypatch, saves):
    save, calls = lessons.save_place, []

    def save_and_stop(*args, **kwargs):
        save(*args, **kwargs)
        calls.append(None)
        if len(calls) == saves:
            raise PowerCutError

    monkeypatch.setattr(lessons, "save_place", save_and_stop)
    with pytest.raises(PowerCutError):
        adapt(bert, tmp_path / "out", work=tmp_path / "work")
    monkeypatch.undo()
    assert adapt(bert, tmp_path / "out", work=tmp_path / "work").total_steps == 15
    assert numbers(tmp_path / "out") == uninterrupted


def test_a_run_killed_in_the_middle_and_started_again_ends_with_the_same_numbers(bert, uninterrupted, tmp_path):
    with forked(adapt_slowly, bert, tmp_path) as running:
        while running.is_alive() and steps_done(tmp_path / "work" / FILE_NAME) < 4:
            time.sleep(0.01)
        running.kill()
    assert running.exitcode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert 4 <= steps_done(tmp_path / "work" / FILE_NAME) < 15
    adapt(bert, tmp_path / "out", work=tmp_path / "work")
    assert numbers(tmp_path / "out") == uninterrupted


def adapt_slowly(bert, folder):
    torch.set_num_threads(1)
    adapt(bert, folder / "out", work=folder / "work", progress=lambda *_: time.sleep(0.1))
