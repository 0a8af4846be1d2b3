"""Frames: a pre-trained image model turns pictures into vectors.

Three kinds are known: the packaged CNN (`kinema.encoders.cnn`), and any vision transformer (`kinema.encoders.vit`) or
convolutional network (`kinema.encoders.hub_cnn`) that transformers can load. All give what is seen, from the last layer,
beside how it looks, from early ones: palettes and textures are hardly left at the end of a classifier, but they are what a
taste for a style is about. `kinema.encoders.frames` runs them over clips.

Shape suffixes: N pictures, H height, W width, 3 red-green-blue, D width of the vector.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.devices import check_device
from kinema.encoders.weights import cnn_architecture, load_pretrained
from kinema.errors import ConfigError
from kinema.extras import require
from kinema.threads import set_thread_policy

CNN_SIDE: Final = 160
"""Side of the pictures for the packaged CNN, pixels: twice as fast as 224, and little is lost on clips."""


class FrameEncoder(Protocol):
    """What `extract` needs of an image model. `encode` must not let one picture's vector depend on the others."""

    name: str
    width: int
    fingerprint: str
    frame_side: int
    """Pictures are given as squares of this side, pixels; the whole picture, squeezed rather than cropped."""

    def encode(self, frames_NHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 [N, D], one vector per uint8 picture."""


def load_frame_encoder(
    name: str, *, frame_side: int | None = None, device: str = "cpu", cache: Path | None = None
) -> FrameEncoder:
    """Load an image model.

    Args:
        name: ``packaged:efficientnet-lite0``, a folder, or a hub name; of a vision transformer (ViT, DINOv2, CLIP, SigLIP),
            a convolutional network (ResNet, EfficientNet, ConvNeXt), or of the packaged CNN adapted. Which one it is, its
            configuration tells.
        frame_side: Side of the pictures, pixels; None takes 160 for the packaged CNN, which is twice as fast as 224 and
            loses little on clips, and the size any other network was trained at.
        device: A torch device.
        cache: Where hub downloads are kept; the hub's default where None.

    Returns:
        The encoder.

    Raises:
        ConfigError: The name leads to no checkpoint, ``frame_side`` does not suit it, or there is no such device.
        MissingExtraError: torch, transformers or the package of a packaged name is not installed.
        StaleArtifactError: The packaged file is damaged.
    """
    set_thread_policy()
    check_device(device)
    if cnn_architecture(name):
        from kinema.encoders.cnn import CnnFrameEncoder  # noqa: PLC0415  # torch only where it is used

        return CnnFrameEncoder.load(name, frame_side=CNN_SIDE if frame_side is None else frame_side, device=device)
    auto = require("transformers").AutoConfig
    from kinema.encoders.hub_cnn import HubCnnFrameEncoder, is_convolutional  # noqa: PLC0415  # the same
    from kinema.encoders.vit import VitFrameEncoder  # noqa: PLC0415  # the same

    if is_convolutional(load_pretrained(auto.from_pretrained, name, role="frames", cache_dir=cache)):
        return HubCnnFrameEncoder.load(name, frame_side=frame_side, device=device, cache=cache)

    return VitFrameEncoder.load(name, frame_side=frame_side, device=device, cache=cache)


def check_pictures(frames_NHW3: NDArray[np.uint8]) -> None:
    """Refuse arrays that are no pictures.

    Raises:
        ConfigError: Not uint8 [N, H, W, 3].
    """
    if frames_NHW3.ndim != 4 or frames_NHW3.shape[-1] != 3 or frames_NHW3.dtype != np.uint8:
        raise ConfigError(f"pictures must be uint8 [N, H, W, 3], got {frames_NHW3.dtype} {list(frames_NHW3.shape)}")


def in_chunks(
    encode: Callable[[NDArray[np.uint8]], NDArray[np.float32]], frames_NHW3: NDArray[np.uint8], *, size: int, width: int
) -> NDArray[np.float32]:
    """Encode pictures a few at a time: a convolution over many at once leaves the processor's cache.

    Args:
        encode: One forward pass.
        frames_NHW3: uint8 [N, side, side, 3]; N may be 0.
        size: Pictures per pass.
        width: D.

    Returns:
        float32 [N, D].

    Raises:
        ConfigError: Not pictures.
    """
    check_pictures(frames_NHW3)
    chunks = [encode(frames_NHW3[start : start + size]) for start in range(0, len(frames_NHW3), max(1, size))]
    return np.concatenate(chunks) if chunks else np.zeros((0, width), dtype=np.float32)
