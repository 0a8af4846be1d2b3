"""What matching cannot do is said, with what to do about it."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from kinema.encoders.text_changes import changed_weights
from kinema.errors import ConfigError, DataError, NotBuiltError, StaleArtifactError
from kinema.settings import Settings
from kinema.steps.finetuning_match import learn_texts
from kinema.steps.finetuning_project import match_texts, open_shop
from kinema.steps.finetuning_visual import Clips, finetune_visual, needs_clips
from kinema.steps.match_encoder import QueryEncoder
from kinema.steps.match_pairs import ReadPairs
from kinema.steps.predicting_match import load_matcher, predict_match
from kinema.store.features import HeldTokens, ModalityFeatures
from kinema.store.tokens import RaggedTokens
from kinema.tasks.match_data import Pairs
from kinema.tasks.match_model import MatchModel
from kinema.tasks.towers import Carrier, Tower
from kinema.tasks.visual_model import moments_of
from kinema.training.parameter_choice import Choice


def test_changes_of_another_encoder_are_refused():
    state = {"a": torch.zeros(2, 2)}
    with pytest.raises(StaleArtifactError, match=r"must have a weight 'b' of shape \[2, 2\] to be changed, has none"):
        changed_weights(state, {"b": np.zeros((2, 2), np.float32)})
    with pytest.raises(
        StaleArtifactError, match=r"weight 'a' of shape \[3, 2\] to be changed, has one of shape \[2, 2\]"
    ):
        changed_weights(state, {"a|up": np.zeros((3, 1), np.float32), "a|down": np.zeros((1, 2), np.float32)})


def test_a_choice_that_cannot_be_served_is_refused():
    with pytest.raises(ConfigError, match="text encoder must be one of frozen, top, lora, is 'prefix'"):
        QueryEncoder.choose(torch.nn.Linear(2, 2), Choice("prefix"), seed=0)


def test_words_need_text_vectors_of_the_encoder_in_the_settings():
    pairs = ReadPairs(Pairs(("q",), np.zeros(1, int), np.zeros(1, int), np.ones(1, np.float32)))
    queries = SimpleNamespace(fingerprint="here")
    with pytest.raises(
        DataError, match=r"items must have text vectors of the encoder that kinema.toml names, have none"
    ):
        learn_texts(pairs, SimpleNamespace(features={}), queries)


def test_words_need_an_encoder(tmp_path, monkeypatch):
    monkeypatch.setattr("kinema.steps.finetuning_project.make_slates", lambda *_, **__: SimpleNamespace(dataset=None))
    settings = Settings(encoders={"text": ""})
    shop = open_shop(folder=tmp_path, settings=settings, store=None, dataset=None, media_root=None, workers=1, seed=0)
    with pytest.raises(ConfigError, match=r"\[encoders\] text must name an encoder to match words by, is empty"):
        match_texts(shop)


def frames(count):
    tokens = RaggedTokens(
        np.ones((count, 2), np.float16), np.zeros(count, np.int64), np.arange(count + 1), np.ones(count, np.float32)
    )
    vectors_VD = np.random.default_rng(0).standard_normal((count, 2)).astype(np.float32)
    return ModalityFeatures(
        "frames", vectors_VD, np.ones(count, bool), np.ones(count, np.float32), "there", HeldTokens(tokens)
    )


def test_pictures_need_clips_of_the_encoder_in_the_settings(tmp_path, monkeypatch):
    with pytest.raises(NotBuiltError, match="no item has a clip to learn from; run: kinema ingest --videos FOLDER"):
        needs_clips(None)
    with pytest.raises(NotBuiltError, match="clips must have frames to be compared moment by moment, none has any"):
        moments_of({})
    items = pl.DataFrame(
        {"num": range(3), "id": list("abc"), "media_path": [None] * 3}, schema_overrides={"media_path": pl.String}
    )
    dataset = SimpleNamespace(features={"frames": frames(3)}, items=items, item_ids=list("abc"))
    encoder = SimpleNamespace(pictures=SimpleNamespace(frame_side=8))
    clips = Clips(tmp_path, encoder, 10.0, 1 << 20, workers=0)
    monkeypatch.setattr("kinema.steps.finetuning_visual.frames_fingerprint", lambda *_, **__: "here")
    with pytest.raises(
        StaleArtifactError, match=r"settings that kinema.toml names \(here\), come from there; run: kinema extract"
    ):
        finetune_visual(dataset, clips, artifacts=tmp_path)
    monkeypatch.setattr("kinema.steps.finetuning_visual.frames_fingerprint", lambda *_, **__: "there")
    with pytest.raises(DataError, match="at least 20 clips must be readable to learn from, 0 are; add clips"):
        finetune_visual(dataset, clips, artifacts=tmp_path)


def test_a_table_that_cannot_be_answered_is_refused(tmp_path, monkeypatch):
    one = Carrier(np.zeros(2, np.float32), np.ones(2, np.float32), np.eye(2, dtype=np.float32))
    MatchModel("texts", Tower({"text": one}), Tower({"text": one}), {"text": "there"}).save(tmp_path / "texts")
    text = ModalityFeatures("text", np.ones((2, 2), np.float32), np.ones(2, bool), np.ones(2, np.float32), "there")
    parts = {
        "model": load_matcher(tmp_path),
        "dataset": SimpleNamespace(features={"text": text}, item_ids=["a", "b"], hidden_V=np.zeros(2, bool)),
        "settings": Settings(),
        "folder": tmp_path,
    }
    (tmp_path / "q.csv").write_text("words\notters\n")
    with pytest.raises(DataError, match=r"'q.csv' must have a column query, has words; rename one"):
        predict_match(table=tmp_path / "q.csv", to=tmp_path / "a.csv", **parts)
    with pytest.raises(ConfigError, match="--to must be another file than --table"):
        predict_match(table=tmp_path / "q.csv", to=tmp_path / "q.csv", **parts)
    monkeypatch.setattr("kinema.steps.bridges.TextQueries.fingerprint", "here")
    (tmp_path / "q.csv").write_text("query\notters\n")
    with pytest.raises(
        ConfigError, match=r"text must be the encoder that the matcher has learnt with \(there\), is here"
    ):
        predict_match(table=tmp_path / "q.csv", to=tmp_path / "a.csv", **parts)
    with pytest.raises(NotBuiltError, match="no match artefact in 'texts'; run: kinema finetune match"):
        load_matcher(tmp_path / "none")
