"""A device that is not there is said before a model is loaded."""

import pytest
import torch

from kinema.encoders.devices import check_device
from kinema.encoders.text import load_text_encoder
from kinema.encoders.vision import load_frame_encoder
from kinema.errors import ConfigError


def test_a_device_that_is_not_there_is_refused_with_what_to_set(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    for load in (load_text_encoder, load_frame_encoder):
        with pytest.raises(ConfigError, match=r"device must be one that is there, is 'cuda', .* a build without CUDA"):
            load("packaged:any", device="cuda")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(ConfigError, match=r'no GPU is seen; set device = "cpu" in \[runtime\]'):
        check_device("cuda:1")


def test_a_device_that_is_there_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    check_device("cuda")
    check_device("cpu")
