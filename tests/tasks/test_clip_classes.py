import numpy as np
import pytest
import torch

from kinema.errors import ConfigError, DataError, NotBuiltError, StaleArtifactError
from kinema.tasks.clip_classes import ClipClassConfig, ClipClassLearner, ClipModel, LabelledClips
from kinema.training.fitting import FitOptions, fit
from planted_clips import RECIPE, clip_library, planted

OPTIONS = FitOptions("log_loss", batch_size=16, learning_rate=1e-2, max_epochs=12, patience=12)


@pytest.fixture(scope="module", name="world")
def made_world(tmp_path_factory):
    labels, clips = planted(160)
    library = clip_library(tmp_path_factory.mktemp("tokens"), clips)
    rows = np.arange(160)
    return library, {
        name: LabelledClips(rows[part], labels[part])
        for name, part in (("train", slice(0, 80)), ("valid", slice(80, 120)), ("test", slice(120, 160)))
    }


def learner_of(world, inputs="both", **changes):
    library, parts = world
    config = ClipClassConfig(inputs=inputs, width=16, **changes)
    return ClipClassLearner(library.tokens, parts["train"], parts["valid"], num_classes=4, config=config, seed=1)


@pytest.fixture(scope="module", name="models")
def made_models(world):
    found = {}
    for inputs in ("frames", "motion", "both"):
        learner = learner_of(world, inputs)
        fit(learner, OPTIONS, seed=1)
        found[inputs] = learner.finish("abcd", RECIPE)
    return found


def right(model, world):
    library, parts = world
    probs = model.predict(library.tokens, parts["test"].rows_N)
    np.testing.assert_allclose(probs.sum(axis=1), 1)
    return (probs.argmax(axis=1) == parts["test"].labels_N).mean()


def test_what_is_seen_and_how_it_moves_are_each_half_of_the_answer(models, world):
    assert right(models["frames"], world) < 0.7
    assert right(models["motion"], world) < 0.7
    assert right(models["both"], world) > 0.9


def test_a_model_that_is_loaded_says_the_same(models, world, tmp_path):
    library, parts = world
    models["both"].save(tmp_path / "model", seed=1, texts={"note.txt": "kept"})
    again = ClipModel.load(tmp_path / "model")
    rows = parts["test"].rows_N
    assert np.array_equal(again.predict(library.tokens, rows), models["both"].predict(library.tokens, rows))
    assert (again.classes, again.recipe, again.temperature) == (tuple("abcd"), RECIPE, models["both"].temperature)
    assert (tmp_path / "model" / "note.txt").read_text() == "kept"
    assert again.predict(library.tokens, rows[:0]).shape == (0, 4)


def test_the_temperature_changes_how_sure_it_is_and_not_what_it_says(models, world):
    library, parts = world
    told, plain = (
        one.predict(library.tokens, parts["test"].rows_N) for one in (models["both"], models["both"].uncalibrated())
    )
    assert np.array_equal(told.argmax(axis=1), plain.argmax(axis=1))
    assert not np.allclose(told, plain)


def test_tokens_of_other_encoders_are_refused(models):
    models["both"].check_encoders({"frames": "f1", "motion": "m1", "sound": "s"}, where="these clips")
    with pytest.raises(
        StaleArtifactError, match=r"motion of these clips must be those .* \('planted'\), come from another"
    ):
        models["both"].check_encoders({"frames": "f1", "motion": "m2"}, where="these clips")
    with pytest.raises(StaleArtifactError, match=r"motion of these clips must be .*, are not there"):
        models["both"].check_encoders({"frames": "f1"}, where="these clips")
    models["frames"].check_encoders({"frames": "f1"}, where="these clips")


def test_rare_classes_count_more_where_balance_says_so(tmp_path):
    labels, clips = planted(40)
    library = clip_library(tmp_path, clips)
    rows = np.flatnonzero((labels < 2) & ((labels == 0) | (np.arange(40) < 10)))
    clips_of = LabelledClips(rows, labels[rows])
    losses = {}
    for balance in (0.0, 1.0):
        config = ClipClassConfig(width=8, balance=balance, smoothing=0.0)
        learner = ClipClassLearner(library.tokens, clips_of, clips_of, num_classes=2, config=config)
        with torch.no_grad():
            learner.network.out.weight.zero_()
            learner.network.out.bias.copy_(torch.tensor([2.0, 0.0]))
        losses[balance] = learner.loss(np.arange(len(rows)), None).item()
    wrong, fine = np.log1p(np.exp(2.0)), np.log1p(np.exp(-2.0))
    share = (clips_of.labels_N == 1).mean()
    assert losses[0.0] == pytest.approx(share * wrong + (1 - share) * fine, rel=1e-5)
    assert losses[1.0] == pytest.approx((wrong + fine) / 2, rel=1e-5)


def test_training_follows_from_the_seed(world):
    reports = []
    for _ in range(2):
        learner = learner_of(world)
        reports.append(fit(learner, FitOptions("accuracy", batch_size=16, max_epochs=2), seed=3).curve)
    assert reports[0] == reports[1]
    assert list(learner.embeddings()) == []


def test_settings_and_labels_that_cannot_be_are_refused(world):
    library, parts = world
    with pytest.raises(ConfigError, match=r"inputs must be one of frames, motion, both, is 'sound'"):
        ClipClassConfig(inputs="sound")
    with pytest.raises(ConfigError, match=r"needs width >= 1 and balance in \[0, 1\], got 0 and 0.5"):
        ClipClassConfig(width=0)
    with pytest.raises(ConfigError, match=r"smoothing must be in \[0, 1\), is 1"):
        ClipClassConfig(smoothing=1.0)
    with pytest.raises(
        DataError, match=r"each of at least 2 classes must have clips to learn from, they have \[20, 20, 20, 20, 0\]"
    ):
        ClipClassLearner(library.tokens, parts["train"], parts["valid"], num_classes=5, config=ClipClassConfig())
    only = {"frames": library.tokens["frames"]}
    with pytest.raises(DataError, match=r"inputs 'both' must have motion of the clips, there is none"):
        ClipClassLearner(only, parts["train"], parts["valid"], num_classes=4, config=ClipClassConfig())


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(NotBuiltError, match=r"no clip-classes artefact in 'nothing'; run: kinema finetune clips"):
        ClipModel.load(tmp_path / "nothing")
