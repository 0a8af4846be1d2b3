"""Optional imports, with the command that installs them in the error."""

import importlib
import importlib.util
from types import ModuleType
from typing import Final

from kinema.errors import MissingExtraError

EXTRAS: Final[dict[str, tuple[str, str]]] = {
    "av": ("video", "decoding of video files"),
    "cv2": ("video", "optical flow and image resizing"),
    "PIL": ("video", "still images and the generated town's captions"),
    "torch": ("model", "FLM: pre-training and recommendations that understand content"),
    "safetensors": ("model", "saved models and vectors"),
    "transformers": ("encoders", "BERT, ViT, CLIP and other encoders by hub name or folder"),
    "tokenizers": ("encoders", "splitting texts for BERT and its kin"),
    "optuna": ("tune", "the search for settings: kinema tune, kinema pretrain --tune"),
    "peft": ("adapt", "adapting encoders by LoRA: kinema adapt"),
    "tensorboard": ("logs", "curves, histograms and graphs of training in TensorBoard"),
    "psycopg": ("postgres", "a store on PostgreSQL"),
    "pymysql": ("mysql", "a store on MySQL or MariaDB"),
    "pymongo": ("mongo", "a store on MongoDB"),
    "redis": ("redis", "events over a Redis stream"),
    "fastapi": ("serve", "the service: kinema serve"),
    "uvicorn": ("serve", "the service: kinema serve"),
    "sklearn": ("serve", "the map of the catalogue"),
    "httpx2": ("client", "the client of the live service"),
    "faiss": ("index", "approximate retrieval in large catalogues"),
    "matplotlib": ("report", "plots in the HTML report"),
}
"""Module -> (extra that brings it, what it enables)."""


def is_installed(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def require(module: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: Top-level module name, such as ``av``.

    Returns:
        The module.

    Raises:
        MissingExtraError: It is not installed; the text has the command that installs it.

    Example:
        >>> require("json").dumps({"a": 1})
        '{"a": 1}'
    """
    if not is_installed(module.split(".", maxsplit=1)[0]):
        extra, enables = EXTRAS.get(module.split(".", maxsplit=1)[0], ("all", "this function"))
        raise MissingExtraError(
            f"{module} is needed for {enables} and is not installed; run: pip install 'kinema[{extra}]'"
        )
    return importlib.import_module(module)
