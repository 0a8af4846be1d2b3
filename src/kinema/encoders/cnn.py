"""EfficientNet-Lite as a frame encoder; its weights ship in a package.

Shape suffixes: N pictures, H height, W width, C channels, D width of the vector.
"""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from kinema.artifacts import fingerprint
from kinema.encoders.vision import check_pictures, in_chunks
from kinema.encoders.weights import PACKAGED, cnn_architecture, packaged_file, weights_digest
from kinema.errors import ConfigError, StaleArtifactError
from kinema.extras import require

_VERSION: Final = 1
_STRIDE: Final = 32
_LOOK_BLOCKS: Final = (2, 4, 10)
"""Blocks whose statistics say how a picture looks: at a quarter, an eighth and a sixteenth of its size."""
_CPU_BATCH: Final = 8
"""More pictures at once leave the processor's cache and take longer, up to twice as long at 32."""
_NUM_CLASSES: Final = 1000
_STRENGTH: Final = 13.0
"""Half the usual length of the last layer's mean on real clips, before it is brought to 1: the network was trained to be sure of
one thing, and less sure it names more of what a picture shows."""
_WEIGHTS_FILE: Final = "model.safetensors"
_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)


class CnnFrameEncoder:
    """A loaded EfficientNet-Lite.

    The vector has two parts of length 1 each: the mean over the last map (what is seen) and mean and deviation over the
    channels of `_LOOK_BLOCKS` (how it looks).

    Attributes:
        name: As in the configuration.
        width: D.
        fingerprint: Equal for equal vectors.
        frame_side: Pixels.

    Source:
        Tan and Le, EfficientNet, ICML 2019 (Lite: without squeeze-and-excitation, with ReLU6). Early-layer statistics as
        a description of style: Huang and Belongie, Arbitrary Style Transfer in Real-time, ICCV 2017.
    """

    def __init__(self, *, name: str, model: nn.Module, frame_side: int, device: str) -> None:
        if frame_side < _STRIDE or frame_side % _STRIDE:
            raise ConfigError(f"frame_side of '{name}' must be a multiple of {_STRIDE} pixels, got {frame_side}")
        self.name = name
        self.frame_side = frame_side
        self.fingerprint = fingerprint(
            {"cnn": _VERSION, "weights": weights_digest(model.state_dict()), "side": frame_side, "look": _LOOK_BLOCKS}
        )
        self._device = device
        self._model: Any = _fold(model.eval()).to(device).to(memory_format=torch.channels_last)
        self.width = self._encode(np.zeros((1, frame_side, frame_side, 3), dtype=np.uint8)).shape[1]

    @classmethod
    def load(cls, name: str, *, frame_side: int, device: str) -> "CnnFrameEncoder":
        """Load a packaged name or folder; see `kinema.encoders.vision.load_frame_encoder`."""
        return cls(name=name, model=load_network(name), frame_side=frame_side, device=device)

    def encode(self, frames_NHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode pictures.

        Args:
            frames_NHW3: uint8 [N, side, side, 3].

        Returns:
            float32 [N, D]. A row does not depend on the other pictures (to 1e-5).

        Raises:
            ConfigError: Not pictures.
        """
        size = _CPU_BATCH if self._device == "cpu" else len(frames_NHW3)
        return in_chunks(self._encode, frames_NHW3, size=size, width=self.width)

    def class_probabilities(self, frames_NHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network's own classifier sees in pictures.

        Args:
            frames_NHW3: uint8 [N, side, side, 3].

        Returns:
            float32 [N, 1000], rows add up to 1; classes in the order of `kinema.encoders.class_names.class_names`.

        Raises:
            ConfigError: Not pictures.
        """
        check_pictures(frames_NHW3)
        with torch.inference_mode():
            chunks = [
                self._classify(self._look(frames_NHW3[start : start + _CPU_BATCH])[0])
                for start in range(0, len(frames_NHW3), _CPU_BATCH)
            ]
        return np.concatenate(chunks) if chunks else np.zeros((0, _NUM_CLASSES), dtype=np.float32)

    def class_probabilities_of_vectors(self, vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same from vectors that were made before, without the pictures; softer, which suits search better.

        The vectors have lost how strongly the last layer answered, so one strength is taken for all.

        Args:
            vectors_ND: float32 [N, D] of `encode`, or means of such over time.

        Returns:
            float32 [N, 1000], rows add up to 1.
        """
        seen_NC = torch.from_numpy(np.ascontiguousarray(vectors_ND[:, : self._model._fc.in_features]))  # noqa: SLF001  # the package has no other door
        with torch.inference_mode():
            return self._classify(nn.functional.normalize(seen_NC.float(), dim=1).to(self._device) * _STRENGTH)

    def _classify(self, seen_NC: Tensor) -> NDArray[np.float32]:
        """float32 [N, 1000]."""
        return np.asarray(self._model._fc(seen_NC).softmax(1).cpu().numpy(), dtype=np.float32)  # noqa: SLF001  # the same

    def _encode(self, frames_NHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One forward pass."""
        with torch.inference_mode():
            parts = [nn.functional.normalize(part, dim=1) for part in self._look(frames_NHW3)]
            return np.asarray(torch.cat(parts, dim=1).cpu().numpy(), dtype=np.float32)

    def _look(self, frames_NHW3: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """What is seen [N, C], and how it looks."""
        x_NCHW = pixels_of(frames_NHW3, device=self._device)
        x_NCHW = self._model._swish(self._model._conv_stem(x_NCHW))  # noqa: SLF001  # the package has no other door
        looks: list[Tensor] = []
        for place, block in enumerate(self._model._blocks):  # noqa: SLF001  # the same
            x_NCHW = block(x_NCHW)
            if place in _LOOK_BLOCKS:
                flat_NCP = x_NCHW.flatten(2)
                looks += [flat_NCP.mean(2), flat_NCP.std(2, correction=0)]
        seen_NC = self._model._swish(self._model._conv_head(x_NCHW)).mean((2, 3))  # noqa: SLF001  # the same
        return seen_NC, torch.cat(looks, dim=1)


def load_network(name: str) -> Any:
    """The bare network, as it is trained.

    Args:
        name: ``packaged:efficientnet-lite0`` or a folder of `save_network`.

    Returns:
        An EfficientNet of efficientnet_lite_pytorch.

    Raises:
        ConfigError: The table has no such packaged name.
        MissingExtraError: The package is not installed.
        StaleArtifactError: The weights are not those of the network.
    """
    if name.startswith(PACKAGED):
        state = torch.load(packaged_file(name, role="frames"), map_location="cpu", weights_only=True)
    else:
        state = load_file(Path(name) / _WEIGHTS_FILE)
    architecture = cnn_architecture(name)
    try:
        with torch.device("meta"):  # no random weights are drawn only to be replaced
            network = require("efficientnet_lite_pytorch").EfficientNet.from_name(architecture)
        network.load_state_dict(state, assign=True)
    except (RuntimeError, KeyError, NotImplementedError) as error:
        raise StaleArtifactError(
            f"weights of frame encoder '{name}' must be those of {architecture}, are others; run: kinema adapt frames"
        ) from error
    return network


def save_network(network: nn.Module, folder: Path, *, architecture: str) -> None:
    """Write a folder that `load_network` reads.

    Args:
        network: As `load_network` gives it, its weights changed.
        folder: Made if it is not there.
        architecture: Such as ``efficientnet-lite0``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"architecture": architecture}) + "\n", encoding="utf-8")
    save_file(
        {name: value.detach().contiguous() for name, value in network.state_dict().items()}, folder / _WEIGHTS_FILE
    )


def pixels_of(frames_NHW3: NDArray[np.uint8], *, device: str) -> Tensor:
    """float32 [N, 3, H, W], the pictures in the scale the network was trained at."""
    mean, deviation = (torch.tensor(one, device=device).view(1, 3, 1, 1) * 255 for one in (_MEAN, _DEVIATION))
    x_NCHW = torch.from_numpy(frames_NHW3).to(device).permute(0, 3, 1, 2).float()
    return ((x_NCHW - mean) / deviation).contiguous(memory_format=torch.channels_last)


def _fold(model: Any) -> Any:
    """The same function in half the time: batch norms go into the convolutions, even padding too."""
    pairs = [(model, "_conv_stem", "_bn0"), (model, "_conv_head", "_bn1")]
    for block in model._blocks:  # noqa: SLF001  # the package has no other door
        if hasattr(block, "_expand_conv"):
            pairs.append((block, "_expand_conv", "_bn0"))
        pairs += [(block, "_depthwise_conv", "_bn1"), (block, "_project_conv", "_bn2")]
        block._swish = nn.ReLU6(inplace=True)  # noqa: SLF001  # the same
    for owner, conv_name, norm_name in pairs:
        conv, norm = getattr(owner, conv_name), getattr(owner, norm_name)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        setattr(owner, norm_name, nn.Identity())
        if isinstance(conv.static_padding, nn.ZeroPad2d) and len(set(conv.static_padding.padding)) == 1:
            conv.padding = conv.static_padding.padding[:2]
            conv.static_padding = nn.Identity()
    return model
