"""A number format that a device lacks is refused with the one to choose."""

import pytest
import torch

from kinema.errors import ConfigError
from kinema.training.precision import autocast, check_precision, gradient_scaler

CPU, CARD = torch.device("cpu"), torch.device("cuda")


def test_formats_that_a_device_has_are_accepted(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    for precision, device in (("float32", CPU), ("bf16", CPU), ("float32", CARD), ("bf16", CARD), ("fp16", CARD)):
        check_precision(precision, device)


def test_others_are_refused(monkeypatch):
    with pytest.raises(ConfigError, match=r"must be float32 or bf16 on cpu, is fp16: .* choose bf16"):
        check_precision("fp16", CPU)
    with pytest.raises(ConfigError, match="must be float32 on mps, is bf16; leave it out"):
        check_precision("bf16", torch.device("mps"))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with pytest.raises(ConfigError, match="this graphics card, which has no bf16; choose fp16"):
        check_precision("bf16", CARD)


def test_bf16_shortens_products_and_only_fp16_is_scaled():
    a = torch.ones(2, 2)
    with autocast("bf16", CPU):
        assert (a @ a).dtype is torch.bfloat16
    with autocast("float32", CPU):
        assert (a @ a).dtype is torch.float32
    assert gradient_scaler("bf16", CPU) is None
    assert gradient_scaler("fp16", CPU) is not None
