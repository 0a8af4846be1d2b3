"""CLIP and SigLIP: one space for pictures and texts, so that words find frames.

Shape suffixes: N pictures or texts, H height, W width, 3 red-green-blue, D width of the space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinema.artifacts import fingerprint
from kinema.encoders.vision import check_pictures
from kinema.encoders.weights import load_pretrained, weights_digest
from kinema.errors import ConfigError
from kinema.extras import require
from kinema.threads import set_thread_policy

_VERSION: Final = 1


@dataclass(frozen=True)
class SharedPictures:
    """The picture half of a shared space, in the form of a frame encoder: `kinema.encoders.frames.FrameTokens` runs it.

    Attributes:
        name: As in the configuration.
        width: D.
        fingerprint: Equal for equal vectors.
        frame_side: Pixels.
        space: Whose half it is.
    """

    name: str
    width: int
    fingerprint: str
    frame_side: int
    space: "SharedSpace"

    def encode(self, frames_NHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 [N, D], see `SharedSpace.encode_pictures`."""
        return self.space.encode_pictures(frames_NHW3)


class SharedSpace:
    """Both towers of a checkpoint; get one from `load_shared_space`.

    Attributes:
        name: As in the configuration.
        width: D.
        fingerprint: Equal for equal vectors, of pictures and of texts.
        frame_side: Side of the squares the pictures are given as, pixels.
        scale: What cosines are multiplied by in the checkpoint's own training; larger means sharper.
    """

    def __init__(self, *, name: str, model: Any, processor: Any, tokenizer: Any, batch_size: int, device: str) -> None:
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise ConfigError(
                f"shared space '{name}' must be CLIP, SigLIP or alike, with a tower for pictures and one for texts, is "
                f"{type(model).__name__}"
            )
        if batch_size < 1:
            raise ConfigError(f"batch_size of a shared space must be >= 1, got {batch_size}")
        self.name = name
        self.frame_side = int(model.config.vision_config.image_size)
        self._model = model.eval().to(device)
        self._processor = processor
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        self._device = device
        self._longest = int(model.config.text_config.max_position_embeddings)
        # SigLIP was trained on texts padded to full length, without a mask; for CLIP the padding is masked.
        self._fills = str(model.config.model_type).startswith("siglip")
        self.scale = float(torch.exp(model.logit_scale.detach())) if hasattr(model, "logit_scale") else 1.0
        self.fingerprint = fingerprint(
            {
                "shared_space": _VERSION,
                "weights": weights_digest(model.state_dict()),
                "processor": processor.to_dict(),
            }
        )
        self.width = int(self.encode_texts([""]).shape[1])

    @property
    def pictures(self) -> SharedPictures:
        """The picture half as a frame encoder."""
        return SharedPictures(self.name, self.width, self.fingerprint, self.frame_side, self)

    def encode_pictures(self, frames_NHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures in the space.

        Args:
            frames_NHW3: uint8 [N, side, side, 3].

        Returns:
            float32 [N, D], unit rows, comparable with those of `encode_texts` by their dot product. A row does not depend
            on the other pictures (to 1e-5).

        Raises:
            ConfigError: Not pictures.
        """
        check_pictures(frames_NHW3)

        def see(start: int) -> Tensor:
            some = list(frames_NHW3[start : start + self._batch_size])
            pixels = self._processor(images=some, return_tensors="pt")["pixel_values"]
            return _pooled(self._model.get_image_features(pixel_values=pixels.to(self._device)))

        return self._unit_rows(see, len(frames_NHW3))

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts in the space.

        Args:
            texts: N texts; what is longer than the checkpoint reads (77 tokens for CLIP) is cut.

        Returns:
            float32 [N, D], unit rows, in the order given. A row does not depend on the other texts (to 1e-5).
        """

        def read(start: int) -> Tensor:
            batch = self._tokenizer(
                list(texts[start : start + self._batch_size]),
                padding="max_length" if self._fills else True,
                truncation=True,
                max_length=self._longest,
                return_tensors="pt",
            ).to(self._device)
            batch.pop("token_type_ids", None)
            if self._fills:
                batch.pop("attention_mask", None)
            return _pooled(self._model.get_text_features(**batch))

        return self._unit_rows(read, len(texts))

    def _unit_rows(self, part: Any, count: int) -> NDArray[np.float32]:
        """float32 [count, D], batch by batch."""
        if not count:
            return np.zeros((0, self.width), dtype=np.float32)
        with torch.inference_mode():
            rows_ND = torch.cat([part(start).float() for start in range(0, count, self._batch_size)])
            return np.asarray(torch.nn.functional.normalize(rows_ND, dim=-1).cpu().numpy(), dtype=np.float32)


def load_shared_space(
    name: str, *, batch_size: int = 32, device: str = "cpu", cache: Path | None = None
) -> SharedSpace:
    """Load both towers of a checkpoint.

    Args:
        name: Folder or hub name of CLIP, SigLIP or alike.
        batch_size: Pictures or texts per forward pass, >= 1.
        device: A torch device.
        cache: Where hub downloads are kept; the hub's default where None.

    Returns:
        The space.

    Raises:
        ConfigError: The name leads to no checkpoint, or to one without two towers.
        MissingExtraError: torch or transformers is not installed.
    """
    set_thread_policy()
    transformers = require("transformers")
    model, processor, tokenizer = (
        load_pretrained(auto.from_pretrained, name, role="frames", cache_dir=cache, **settings)
        for auto, settings in (
            (transformers.AutoModel, {"dtype": torch.float32}),
            (transformers.AutoImageProcessor, {}),
            (transformers.AutoTokenizer, {}),
        )
    )
    return SharedSpace(
        name=name, model=model, processor=processor, tokenizer=tokenizer, batch_size=batch_size, device=device
    )


def has_shared_space(name: str, *, cache: Path | None = None) -> bool:
    """Whether a frame encoder's name leads to a checkpoint with a tower for texts beside the one for pictures.

    Args:
        name: As for `kinema.encoders.vision.load_frame_encoder`; only its configuration is read.
        cache: Where hub downloads are kept; the hub's default where None.

    Example:
        >>> has_shared_space("packaged:efficientnet-lite0")
        False
    """
    if name.startswith("packaged:"):
        return False
    try:
        config = load_pretrained(
            require("transformers").AutoConfig.from_pretrained, name, role="frames", cache_dir=cache
        )
    except ConfigError:  # the packaged network, adapted, has a configuration of our own
        return False
    return hasattr(config, "vision_config") and hasattr(config, "text_config")


def _pooled(output: Any) -> Tensor:
    """The projected vectors; bare in earlier releases of transformers 5."""
    pooled_ND: Tensor = getattr(output, "pooler_output", output)
    return pooled_ND
