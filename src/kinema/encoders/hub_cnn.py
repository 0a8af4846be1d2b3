"""Any convolutional network of the transformers library as a frame encoder: ResNet, EfficientNet, ConvNeXt and their kin.

Shape suffixes: N pictures, C channels, H height, W width, P places of a map, D width of the vector.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinema.artifacts import fingerprint
from kinema.encoders.vision import in_chunks
from kinema.encoders.weights import load_pretrained, weights_digest
from kinema.errors import ConfigError
from kinema.extras import require

_VERSION: Final = 1
_CPU_BATCH: Final = 8
_USUAL_SIDE: Final = 224


def is_convolutional(config: Any) -> bool:
    """Whether a checkpoint's configuration is that of a convolutional image network.

    Args:
        config: A transformers configuration.
    """
    attends = ("num_attention_heads", "num_heads", "vision_config", "text_config", "vocab_size")
    return hasattr(config, "num_channels") and not any(hasattr(config, name) for name in attends)


class HubCnnFrameEncoder:
    """A loaded convolutional network.

    The vector has two parts of length 1 each, as that of the packaged network: the mean over the last map (what is seen),
    and mean and deviation over the channels of the last maps before each halving of their size (how it looks).

    Attributes:
        name: As in the configuration.
        width: D.
        fingerprint: Equal for equal vectors.
        frame_side: Pixels; what the network was trained at unless chosen otherwise.

    Source:
        See `kinema.encoders.cnn.CnnFrameEncoder`.
    """

    def __init__(self, *, name: str, model: Any, processor: Any, frame_side: int, device: str) -> None:
        self.name = name
        self.frame_side = frame_side
        self.fingerprint = fingerprint(
            {
                "hub_cnn": _VERSION,
                "weights": weights_digest(model.state_dict()),
                "side": frame_side,
                "processor": processor.to_dict(),
            }
        )
        self._model = model.eval().to(device)
        self._processor = processor
        self._device = device
        try:
            self.width = self._encode(np.zeros((1, frame_side, frame_side, 3), dtype=np.uint8)).shape[1]
        except (RuntimeError, ValueError) as error:
            raise ConfigError(
                f"frame encoder '{name}' must take squares of {frame_side} pixels, cannot: {error}; choose frame_side"
            ) from error

    @classmethod
    def load(cls, name: str, *, frame_side: int | None, device: str, cache: Path | None) -> "HubCnnFrameEncoder":
        """Load a folder or hub name; see `kinema.encoders.vision.load_frame_encoder`."""
        transformers = require("transformers")
        model = load_pretrained(
            transformers.AutoModel.from_pretrained, name, dtype=torch.float32, role="frames", cache_dir=cache
        )
        processor = load_pretrained(
            transformers.AutoImageProcessor.from_pretrained, name, role="frames", cache_dir=cache
        )
        trained = getattr(model.config, "image_size", None) or _side_of(processor)
        return cls(name=name, model=model, processor=processor, frame_side=frame_side or int(trained), device=device)

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

    def _encode(self, frames_NHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One forward pass. Processors of these networks crop the edges off; here only their colours are used."""
        pixels = self._processor(images=list(frames_NHW3), do_resize=False, do_center_crop=False, return_tensors="pt")[
            "pixel_values"
        ]
        with torch.inference_mode():
            output = self._model(pixel_values=pixels.to(self._device), output_hidden_states=True)
            seen_NC = output.last_hidden_state.float().mean((2, 3))
            if hasattr(self._model, "layernorm"):  # ConvNeXt was trained to be read through it
                seen_NC = self._model.layernorm(seen_NC)
            looks: list[Tensor] = []
            for place in early_maps([int(one.shape[2]) for one in output.hidden_states]):
                flat_NCP = output.hidden_states[place].float().flatten(2)
                looks += [flat_NCP.mean(2), flat_NCP.std(2, correction=0)]
            parts = [torch.nn.functional.normalize(part, dim=1) for part in (seen_NC, torch.cat(looks, dim=1))]
            return np.asarray(torch.cat(parts, dim=1).cpu().numpy(), dtype=np.float32)


def early_maps(heights: Sequence[int]) -> list[int]:
    """The maps whose statistics say how a picture looks: the last of each size, but for the last size, up to three.

    Args:
        heights: Of a network's maps, from the first layer on.

    Returns:
        Places in ``heights``, ascending, at least one.

    Example:
        >>> early_maps([112, 112, 56, 56, 28, 14, 14, 7, 7]), early_maps([8, 8])
        ([3, 4, 6], [0])
    """
    last_of = {height: place for place, height in enumerate(heights)}
    places = sorted(last_of.values())[:-1][-3:]
    return places or [0]


def _side_of(processor: Any) -> int:
    """The side of the pictures that a processor makes."""
    size = dict(processor.size or {})
    return int(size.get("height") or size.get("shortest_edge") or _USUAL_SIDE)
