"""phi = theta + delta, between models with other items, modalities and profile columns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kinema.errors import ConfigError, NotBuiltError, StaleArtifactError
from kinema.flm.config import FLMConfig
from kinema.flm.model import FLM
from kinema.flm.network import FLMNetwork
from kinema.flm.sharing import carry_over, inherited, match_modalities, shared_of, theta_fingerprint, without_log
from kinema.flm.transfer import Delta, apply, difference, subtract
from kinema.flm.whitening import Whitening
from kinema.store.features import ModalityFeatures

CONFIG = FLMConfig(d_model=8, num_blocks=1, max_length=4)
WIDTHS = {"frames": 6, "text": 5}


def made(*, items, names=("frames", "text"), columns=("age", "country=de"), seed=0, encoder="made-1", source=None):
    """An untrained model; the maps of a source where there is one."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    maps = {name: Whitening.fit(random.normal(size=(40, WIDTHS[name])).astype(np.float32)) for name in names}
    if source is not None:
        maps |= {name: one for name, one in source.whitenings.items() if name in names}
    network = FLMNetwork(
        CONFIG,
        num_items=items,
        modality_widths={name: one.width for name, one in maps.items()},
        profile_width=len(columns),
    )
    model = without_log(
        config=CONFIG,
        network=network.eval(),
        item_ids=[f"v{item}" for item in range(items)],
        whitenings=maps,
        encoders=dict.fromkeys(maps, encoder),
        seed=seed,
        report={},
    )
    return replace(model, profile_columns=tuple(columns))


def started_from(source, *, kept, **how):
    model = made(source=source, **how)
    carry_over(
        model.network, source, kept=kept, modalities=tuple(model.whitenings), profile_columns=model.profile_columns
    )
    return model


def shaken(model, *, seed=9):
    """As if it had been trained: every parameter moves."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for one in model.network.parameters():
            one.add_(torch.randn(one.shape, generator=random), alpha=0.3)
    return model


def bits(model):
    return {name: one.numpy().tobytes() for name, one in shared_of(model).items()}


@pytest.fixture
def source():
    return made(items=9, columns=("age", "sex=f"), seed=1)


@pytest.fixture
def trained(source):
    return shaken(started_from(source, kept=("frames", "text"), items=5, columns=("country=de", "age"), seed=2))


def features(name, *, width=None, encoder="made-1", items=5):
    everywhere = np.ones(items, dtype=bool)
    vectors = np.ones((items, width or WIDTHS.get(name, 3)), dtype=np.float32)
    return ModalityFeatures(name, vectors, everywhere, everywhere.astype(np.float32), encoder)


def test_theta_plus_delta_is_phi_and_phi_minus_delta_is_theta_bit_for_bit(source, trained):
    theta = started_from(source, kept=("frames", "text"), items=5, columns=("country=de", "age"), seed=2)
    delta = difference(trained, source)
    back = subtract(trained, delta)
    assert {name: bits(back)[name] for name in delta.changes} == {name: bits(source)[name] for name in delta.changes}
    assert bits(apply(back, delta)) == bits(trained)
    assert bits(apply(theta, delta))["follow.weight"] == bits(trained)["follow.weight"]
    assert {name: bits(apply(source, delta))[name] for name in delta.changes} == {
        name: bits(trained)[name] for name in delta.changes
    }


def test_neither_adding_nor_taking_off_changes_the_model_that_was_given_or_its_items(source, trained):
    delta = difference(trained, source)
    before = bits(trained)
    back = subtract(trained, delta)
    assert bits(trained) == before
    assert torch.equal(back.network.tower.ids_VD, trained.network.tower.ids_VD)
    assert back.item_ids == trained.item_ids


def test_vectors_of_items_and_new_parts_are_no_part_of_the_delta(source, trained):
    changes = difference(trained, source).changes
    assert "profile/age" in changes
    assert not {"profile/country=de", "profile/sex=f"} & set(changes)
    assert not [name for name in changes if "ids" in name or "bias_V" in name]
    assert sum(one.numel() for one in changes.values()) < sum(one.numel() for one in trained.network.parameters())


def test_a_modality_that_starts_new_is_no_part_of_the_delta(source):
    model = shaken(started_from(source, kept=("text",), items=5, seed=3))
    model = replace(model, whitenings=dict(model.whitenings) | {"frames": made(items=5, seed=3).whitenings["frames"]})
    assert not [name for name in difference(model, source).changes if name.startswith("modality/frames")]


def test_a_model_that_did_not_move_has_an_empty_delta(source):
    delta = difference(source, source)
    assert delta.num_numbers == 0
    assert bits(apply(source, delta)) == bits(source)


def test_a_saved_delta_is_the_same_delta(source, trained, tmp_path):
    delta = difference(trained, source)
    size = delta.save(tmp_path / "delta")
    again = Delta.load(tmp_path / "delta")
    assert size == (tmp_path / "delta" / "delta.safetensors").stat().st_size
    assert (again.source, again.before, again.after) == (theta_fingerprint(source), delta.before, delta.after)
    assert bits(apply(subtract(trained, again), again)) == bits(trained)


def test_a_missing_and_a_damaged_delta_say_what_to_run(source, trained, tmp_path):
    with pytest.raises(NotBuiltError, match="no delta artefact in 'delta'; run: kinema pretrain --from FOLDER"):
        Delta.load(tmp_path / "delta")
    difference(trained, source).save(tmp_path / "delta")
    (tmp_path / "delta" / "delta.safetensors").write_bytes(b"x")
    with pytest.raises(
        StaleArtifactError, match=r"file 'delta\.safetensors' of artefact 'delta' is missing or damaged"
    ):
        Delta.load(tmp_path / "delta")


def test_a_delta_is_refused_by_any_other_theta(source, trained):
    delta = difference(trained, source)
    message = (
        rf"the delta must be put on the theta it was taken from \(source {delta.source}\), this model's parameters are"
    )
    for other in (made(items=9, seed=5), trained, made(items=4, names=("text",), columns=(), seed=1)):
        with pytest.raises(ConfigError, match=message):
            apply(other, delta)
    with pytest.raises(ConfigError, match=r"the delta must be taken off a model that holds it"):
        subtract(source, delta)


def test_models_that_share_nothing_have_no_difference(source):
    with pytest.raises(
        ConfigError, match="a model must share a modality and its whitening map with its source, shares"
    ):
        difference(made(items=5, seed=7), source)
    wider = FLMNetwork(
        CONFIG.with_changes(d_model=16), num_items=5, modality_widths={"frames": 6, "text": 5}, profile_width=0
    )
    other = replace(source, network=wider, config=CONFIG.with_changes(d_model=16), profile_columns=())
    with pytest.raises(ConfigError, match=r"a model must have its source's shapes, 'modality/frames/\w+/weight' is"):
        difference(other, source)


def test_the_fingerprint_of_theta_follows_what_carries_over_and_nothing_else(source, tmp_path):
    source.save(tmp_path / "flm")
    loaded = FLM.load(tmp_path / "flm")
    assert theta_fingerprint(loaded) == theta_fingerprint(source)
    with torch.no_grad():
        loaded.network.tower.ids_VD += 1
    assert theta_fingerprint(loaded) == theta_fingerprint(source)
    with torch.no_grad():
        loaded.network.follow.weight[0, 0] += 1
    assert theta_fingerprint(loaded) != theta_fingerprint(source)
    assert theta_fingerprint(replace(source, encoders={})) != theta_fingerprint(source)


def test_modalities_carry_over_where_the_encoder_agrees_and_the_others_say_why_not(source):
    here = {"text": features("text"), "frames": features("frames", encoder="made-2"), "smell": features("smell")}
    match = match_modalities(source, here)
    assert match.kept == ("text",)
    assert match.new == {
        "frames": "encoder made-2, the source's is made-1",
        "smell": "the source does not know it",
    }
    assert match_modalities(source, {"text": features("text")}).absent == ("frames",)
    wide = {"text": features("text"), "frames": features("frames", width=7)}
    assert match_modalities(source, wide).new == {"frames": "7 numbers wide, the source's is 6"}


def test_without_a_common_encoder_nothing_can_carry_over(source):
    message = (
        "source and catalogue must share a modality and its encoder: the source reads frames of made-1, text of made-1, "
        r"the catalogue has text of an unnamed encoder; set the same \[encoders\] as the source's project, run: kinema ext"
    )
    with pytest.raises(ConfigError, match=message):
        match_modalities(source, {"text": features("text", encoder="")})


def test_shapes_come_from_the_source_and_the_temperature_may_be_set(source):
    found = inherited(source, {"temperature": 0.2, "max_epochs": 3, "d_model": None, "num_blocks": 1})
    assert (found["d_model"], found["num_blocks"], found["temperature"], found["max_epochs"]) == (8, 1, 0.2, 3)
    with pytest.raises(
        ConfigError, match=r"flm.d_model must be 8 as in the source, is 16; take it \(or flm.size\) out of \[flm\]"
    ):
        inherited(source, {"d_model": 16})
    with pytest.raises(
        ConfigError, match=r"flm.d_model must be 8 as in the source, is 128; take it \(or flm.size\) out"
    ):
        inherited(source, {"size": "base"})
    assert inherited(source, {"size": "tiny"})["d_model"] == 8
