"""Number formats of a training step: which ones a device has, and what they need.

Parameters and the optimizer stay float32; only the loss is computed in the shorter format, by torch's autocast.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Final

import torch
from torch.amp.grad_scaler import GradScaler

from kinema.errors import ConfigError

_TYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a format that a device does not compute in, or only far slower than float32.

    Raises:
        ConfigError: As above; the text names what to choose.
    """
    if precision == "fp16" and device.type != "cuda":
        raise ConfigError(
            f"precision must be float32 or bf16 on {device.type}, is fp16: half precision is for graphics cards; "
            "choose bf16"
        )
    if precision == "bf16" and device.type not in {"cpu", "cuda"}:
        raise ConfigError(f"precision must be float32 on {device.type}, is bf16; leave it out")
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigError("precision must be float32 or fp16 on this graphics card, which has no bf16; choose fp16")


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Inside it the loss is computed in that format where torch holds that to be safe."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=_TYPES[precision])


def gradient_scaler(precision: str, device: torch.device) -> GradScaler | None:
    """What keeps small gradients from vanishing in fp16; None for the other formats, whose exponents are float32's."""
    return GradScaler(device.type) if precision == "fp16" else None
