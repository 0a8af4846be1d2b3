"""Whether encoders can run where the settings want them."""

from typing import Any

from kinema.errors import ConfigError
from kinema.extras import require


def check_device(device: str) -> None:
    """Refuse a device that this machine, or this build of torch, does not have.

    Args:
        device: A torch device.

    Raises:
        ConfigError: It is not there; torch itself would fail within a model, with an error that names no setting.
        MissingExtraError: torch is not installed.

    Example:
        >>> check_device("cpu")
    """
    if device.partition(":")[0] != "cuda":
        return
    torch: Any = require("torch")
    if not torch.cuda.is_available():
        build = "has a CUDA build, and no GPU is seen" if torch.version.cuda else "is a build without CUDA"
        raise ConfigError(
            f"device must be one that is there, is '{device}', but torch {torch.__version__} {build}; "
            'set device = "cpu" in [runtime] of kinema.toml, or install a CUDA build of torch where there is a GPU'
        )
