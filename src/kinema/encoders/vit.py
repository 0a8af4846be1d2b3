"""Any vision transformer of the transformers library as a frame encoder: ViT, DINOv2, and the picture halves of CLIP and SigLIP.

Shape suffixes: N pictures, L tokens, D width of a token.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.vision import check_pictures
from kinema.encoders.weights import load_pretrained, weights_digest
from kinema.errors import ConfigError
from kinema.extras import require

_VERSION: Final = 1
_SHARED_VERSION: Final = 1


class VitFrameEncoder:
    """A loaded vision transformer.

    The vector has two parts of length 1 each: the mean of the last layer's tokens (what is seen), and their mean and
    deviation after a third of the layers (how it looks). Pooler heads are not used: half the checkpoints have none, and
    the library then makes one up at random.

    Where the model shares a space with texts, as CLIP and SigLIP do, a third part of length 1 is the picture's place there. It
    comes last, so that what is pooled over a clip has it in its last ``shared_width`` columns; see
    `kinema.encoders.shared_space`.

    Attributes:
        name: As in the configuration.
        width: Three times the width of a token, and ``shared_width``.
        shared_width: Width of the space shared with texts, 0 where there is none.
        fingerprint: Equal for equal vectors.
        frame_side: Pixels; what the model was trained at unless chosen otherwise.
    """

    def __init__(self, *, name: str, model: Any, processor: Any, frame_side: int, device: str) -> None:
        tower = getattr(model, "vision_model", model)
        if not hasattr(tower.config, "image_size"):
            raise ConfigError(f"frame encoder '{name}' must be a vision transformer, is {type(model).__name__}")
        self.name = name
        self.frame_side = frame_side
        self.shared_width = shared_width(model)
        self.width = 3 * int(tower.config.hidden_size) + self.shared_width
        parts = {
            "vit": _VERSION,
            "weights": weights_digest(tower.state_dict()),
            "side": frame_side,
            "processor": processor.to_dict(),
        }
        self._projection = getattr(model, "visual_projection", None) if self.shared_width else None
        if self.shared_width:
            parts["shared"] = _SHARED_VERSION
        if self._projection is not None:
            parts["projection"] = weights_digest(self._projection.state_dict())
            self._projection.to(device)
        self.fingerprint = fingerprint(parts)
        self._tower = tower.eval().to(device)
        self._processor = processor
        self._device = device
        self._look_layer = max(1, int(tower.config.num_hidden_layers) // 3)

    @classmethod
    def load(cls, name: str, *, frame_side: int | None, device: str, cache: Path | None) -> "VitFrameEncoder":
        """Load a folder or hub name; see `kinema.encoders.vision.load_frame_encoder`."""
        transformers = require("transformers")
        model = load_pretrained(
            transformers.AutoModel.from_pretrained, name, dtype=torch.float32, role="frames", cache_dir=cache
        )
        processor = load_pretrained(
            transformers.AutoImageProcessor.from_pretrained, name, role="frames", cache_dir=cache
        )
        trained = getattr(getattr(model, "vision_model", model).config, "image_size", 224)
        return cls(name=name, model=model, processor=processor, frame_side=frame_side or int(trained), device=device)

    def encode(self, frames_NHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode pictures.

        Args:
            frames_NHW3: uint8 [N, side, side, 3].

        Returns:
            float32 [N, width]. A row does not depend on the other pictures (to 1e-5).

        Raises:
            ConfigError: Not pictures.
        """
        check_pictures(frames_NHW3)
        pixels = self._processor(images=list(frames_NHW3), return_tensors="pt")["pixel_values"].to(self._device)
        with torch.inference_mode():
            output = self._tower(pixel_values=pixels, output_hidden_states=True)
            early_NLD = output.hidden_states[self._look_layer].float()
            seen_ND = output.last_hidden_state.float().mean(1)
            look_ND = torch.cat([early_NLD.mean(1), early_NLD.std(1, correction=0)], dim=1)
            parts = [seen_ND, look_ND]
            if self.shared_width:
                pooled_ND = output.pooler_output
                parts.append((pooled_ND if self._projection is None else self._projection(pooled_ND)).float())
            rows_ND = torch.cat([torch.nn.functional.normalize(part, dim=1) for part in parts], dim=1)
            return np.asarray(rows_ND.cpu().numpy(), dtype=np.float32)


def shared_width(model: Any) -> int:
    """Width of the space that a model's pictures share with texts; 0 for a model that does not read.

    Args:
        model: Of the transformers library. CLIP and its kin project what the picture half has pooled; SigLIP does not.
    """
    if not (hasattr(model, "vision_model") and hasattr(model, "get_text_features")):
        return 0
    if hasattr(model, "visual_projection"):
        return int(getattr(model.visual_projection, "out_features", 0))
    alike = str(model.config.model_type).startswith("siglip")
    return int(model.vision_model.config.hidden_size) if alike else 0
