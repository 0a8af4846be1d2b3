"""CLIP and SigLIP: one space for pictures and texts, so that words find frames.

As the frame encoder of a project such a checkpoint puts every clip's place in the space into the last columns of its vector
(`kinema.encoders.vit`); the text half is loaded when somebody searches.

Shape suffixes: N pictures or texts, H height, W width, 3 red-green-blue, D width of the space.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinema.encoders.devices import check_device
from kinema.encoders.vision import in_chunks
from kinema.encoders.vit import VitFrameEncoder, shared_width
from kinema.encoders.weights import cnn_architecture, load_pretrained
from kinema.errors import ConfigError
from kinema.extras import require
from kinema.threads import set_thread_policy


class SharedSpace:
    """Both towers of a checkpoint; get one from `load_shared_space`.

    Attributes:
        name: As in the configuration.
        width: D.
        pictures: The picture half as a frame encoder; the last D columns of its vectors are places in the space.
        scale: What cosines are multiplied by in the checkpoint's own training; larger means sharper.
    """

    def __init__(self, *, name: str, model: Any, processor: Any, tokenizer: Any, batch_size: int, device: str) -> None:
        self.width = shared_width(model)
        if not self.width:
            raise ConfigError(
                f"shared space '{name}' must be CLIP, SigLIP or alike, with a tower for pictures and one for texts, is "
                f"{type(model).__name__}"
            )
        if batch_size < 1:
            raise ConfigError(f"batch_size of a shared space must be >= 1, got {batch_size}")
        self.name = name
        self._model = model.eval().to(device)
        side = int(model.config.vision_config.image_size)
        self.pictures = VitFrameEncoder(name=name, model=model, processor=processor, frame_side=side, device=device)
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        self._device = device
        self._longest = int(model.config.text_config.max_position_embeddings)
        # SigLIP was trained on texts padded to full length, without a mask; for CLIP the padding is masked.
        self._fills = str(model.config.model_type).startswith("siglip")
        self.scale = float(torch.exp(model.logit_scale.detach())) if hasattr(model, "logit_scale") else 1.0

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
        whole_ND = in_chunks(self.pictures.encode, frames_NHW3, size=self._batch_size, width=self.pictures.width)
        return whole_ND[:, -self.width :]

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts in the space.

        Args:
            texts: N texts; what is longer than the checkpoint reads (77 tokens for CLIP) is cut.

        Returns:
            float32 [N, D], unit rows, in the order given. A row does not depend on the other texts (to 1e-5).
        """
        if not texts:
            return np.zeros((0, self.width), dtype=np.float32)
        starts = range(0, len(texts), self._batch_size)
        return np.concatenate([self._read(list(texts[start : start + self._batch_size])) for start in starts])

    def _read(self, texts: list[str]) -> NDArray[np.float32]:
        """float32 [N, D], one batch."""
        padding = "max_length" if self._fills else True
        batch = self._tokenizer(
            texts, padding=padding, truncation=True, max_length=self._longest, return_tensors="pt"
        ).to(self._device)
        batch.pop("token_type_ids", None)
        if self._fills:
            batch.pop("attention_mask", None)
        with torch.inference_mode():
            rows_ND = _pooled(self._model.get_text_features(**batch)).float()
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
    check_device(device)
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

    Raises:
        ConfigError: The name leads to no checkpoint.
        MissingExtraError: transformers is not installed.

    Example:
        >>> has_shared_space("packaged:efficientnet-lite0")
        False
    """
    if cnn_architecture(name):
        return False
    config = load_pretrained(require("transformers").AutoConfig.from_pretrained, name, role="frames", cache_dir=cache)
    return hasattr(config, "vision_config") and hasattr(config, "text_config")


def _pooled(output: Any) -> Tensor:
    """The projected vectors; bare in earlier releases of transformers 5."""
    pooled_ND: Tensor = getattr(output, "pooler_output", output)
    return pooled_ND
