"""The image networks that can be adapted, each behind the same three questions: what is trained, what is seen, how saved.

What is seen is the part of `kinema.encoders` vectors that comes from the last layer; here with a gradient.

Shape suffixes: N pictures, H height, W width, D width of the vector.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinema.encoders.cnn import load_network, pixels_of, save_network
from kinema.encoders.weights import cnn_architecture, load_pretrained, quiet
from kinema.extras import require


@dataclass(frozen=True)
class Eye:
    """An image network, and for CLIP-like checkpoints its text tower.

    Attributes:
        network: What is adapted and saved.
        width: D.
        see: uint8 [N, H, W, 3] -> float32 [N, D], with a gradient.
        save: Writes a folder that `kinema.encoders.vision.load_frame_encoder` reads.
        read: Texts -> float32 [N, D] in the space of ``see``, with a gradient; None where the checkpoint has no text tower.
        temperature: The checkpoint's own, for cosines between the two towers.
    """

    network: nn.Module
    width: int
    see: Callable[[NDArray[np.uint8]], Tensor]
    save: Callable[[Path], None]
    read: Callable[[list[str]], Tensor] | None = None
    temperature: float = 0.07


def load_eye(name: str, *, device: str = "cpu") -> Eye:
    """Load an image network for training.

    Args:
        name: As for `kinema.encoders.vision.load_frame_encoder`.
        device: A torch device.

    Returns:
        The network, in full precision.

    Raises:
        ConfigError: The name leads to no checkpoint.
        MissingExtraError: torch, transformers or the package of a packaged name is not installed.
    """
    if cnn_architecture(name):
        return _load_cnn(name, device)
    transformers = require("transformers")
    model = load_pretrained(transformers.AutoModel.from_pretrained, name, dtype=torch.float32, role="frames").to(device)
    processor = load_pretrained(transformers.AutoImageProcessor.from_pretrained, name, role="frames")

    def pixels(frames_NHW3: NDArray[np.uint8]) -> Any:
        return processor(images=list(frames_NHW3), return_tensors="pt")["pixel_values"].to(device)

    if not hasattr(model, "get_image_features"):
        return Eye(
            model,
            int(model.config.hidden_size),
            lambda frames_NHW3: _tokens(model, pixels(frames_NHW3)).mean(1),
            lambda folder: _save(folder, model, processor),
        )
    tokenizer = load_pretrained(transformers.AutoTokenizer.from_pretrained, name, role="frames")
    longest = int(model.config.text_config.max_position_embeddings)

    def read(texts: list[str]) -> Tensor:
        # SigLIP was trained on texts padded to full length; for CLIP the padding is masked.
        padding = "max_length" if model.config.model_type.startswith("siglip") else True
        batch = tokenizer(texts, padding=padding, truncation=True, max_length=longest, return_tensors="pt").to(device)
        batch.pop("token_type_ids", None)
        return _pooled(model.get_text_features(**batch))

    return Eye(
        model,
        int(getattr(model.config, "projection_dim", 0) or model.config.vision_config.hidden_size),
        lambda frames_NHW3: _pooled(model.get_image_features(pixel_values=pixels(frames_NHW3))),
        lambda folder: _save(folder, model, processor, tokenizer),
        read,
        max(0.01, float(torch.exp(-model.logit_scale.detach()))),
    )


def _load_cnn(name: str, device: str) -> Eye:
    network = _plain_pointwise(load_network(name)).to(device)
    channels = int(network._conv_head.out_channels)  # noqa: SLF001  # the package has no other door
    return Eye(
        network,
        channels,
        lambda frames_NHW3: network.extract_features(pixels_of(frames_NHW3, device=device)).mean((2, 3)),
        lambda folder: save_network(network, folder, architecture=cnn_architecture(name)),
    )


def _tokens(model: Any, pixels: Any) -> Tensor:
    tokens_NLD: Tensor = model(pixel_values=pixels).last_hidden_state
    return tokens_NLD


def _pooled(output: Any) -> Tensor:
    """The projected vectors; bare in earlier releases of transformers 5."""
    pooled_ND: Tensor = getattr(output, "pooler_output", output)
    return pooled_ND


def _save(folder: Path, *parts: Any) -> None:
    with quiet():
        for part in parts:
            part.save_pretrained(folder)


def _plain_pointwise(network: Any) -> Any:
    """The same function with plain 1 x 1 convolutions, beside which adapters can be put.

    The package's own class pads by the size of the picture, which a 1 x 1 convolution of stride 1 does not need.
    """
    for owner in list(network.modules()):
        for label, layer in list(owner.named_children()):
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1:
                plain = nn.Conv2d(layer.in_channels, layer.out_channels, 1, bias=layer.bias is not None)
                plain.load_state_dict(layer.state_dict())
                setattr(owner, label, plain)
    return network
