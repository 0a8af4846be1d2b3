"""`kinema delta list` and `kinema delta merge`: what was learnt beside networks that belong to others.

Four commands write deltas: `kinema finetune text` and `rerank`, `kinema adapt`, and `kinema pretrain --from`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

from safetensors import safe_open

from kinema.artifacts import MANIFEST
from kinema.encoders.text import POOLING_FILE, PROMPTS_FILE, find_text_source
from kinema.encoders.weights import quiet
from kinema.errors import ConfigError, NotBuiltError
from kinema.flm.transfer import DELTA_KIND
from kinema.steps import finetuning_text
from kinema.tasks import reranker
from kinema.tasks.cross_encoder import load_cross_encoder
from kinema.tasks.delta_reading import DELTA_FOLDER
from kinema.tasks.text_classifier import TextClassifier
from kinema.training.adapters import DIFFERENCE_FILE, LORA_CONFIG, LORA_FILE
from kinema.training.parameter_delta import KIND, delta_facts, put_on

_POOLINGS: Final = {
    "cls_token": "cls",
    "mean_tokens": "mean",
    "weightedmean_tokens": "weighted",
    "lasttoken": "last",
}
"""Names of sentence-transformers -> ours."""


@dataclass(frozen=True)
class DeltaLine:
    """One delta.

    Attributes:
        place: Folder of the model it is of, or its own, below the folder that was looked through.
        model: What it makes: ``text-classifier``, ``reranker``, ``adapted encoder``, ``flm``, or ``parameter-delta`` by itself.
        base: Name of the network it belongs to; its fingerprint where no name is known.
        method: What learnt.
        parameters: Numbers in it.
        of_head: Those of them that are the head of a task.
        size_bytes: Of its file.
    """

    place: str
    model: str
    base: str
    method: str
    parameters: int
    of_head: int
    size_bytes: int


@dataclass(frozen=True)
class MergeReport:
    """What `merge_delta` did.

    Attributes:
        folder: The merged encoder.
        base: Name of the encoder the delta was put on.
        method: What had learnt.
        parameters: Numbers of the delta that are now in the weights.
        size_bytes: Of the merged encoder's weights.
    """

    folder: Path
    base: str
    method: str
    parameters: int
    size_bytes: int


def list_all(folder: Path) -> tuple[DeltaLine, ...]:
    """Every delta in a folder and below, by place.

    Args:
        folder: Artefacts of a project, a folder of models, or one model.

    Raises:
        NotBuiltError: There is no such folder.
        StaleArtifactError: A delta is of another version.
    """
    if not folder.is_dir():
        raise NotBuiltError(f"deltas are listed of a folder, '{folder}' is none; name one that holds models")
    found = [*_of_manifests(folder), *_of_adapted(folder)]
    return tuple(sorted(found, key=lambda one: one.place))


def _of_manifests(folder: Path) -> Iterator[DeltaLine]:
    """Deltas that are artefacts."""
    for path in folder.rglob(MANIFEST):
        place = path.parent
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest.get("kind") == KIND:
            facts = delta_facts(place)
            model, base, shown = "parameter-delta", facts.theta, place
            if place.name == DELTA_FOLDER and (place.parent / MANIFEST).is_file():
                whole = json.loads((place.parent / MANIFEST).read_text(encoding="utf-8"))
                model, base, shown = whole["kind"], whole["config"].get("encoder", base), place.parent
            sizes = facts.num_parameters, facts.num_heads, facts.size_bytes
            yield DeltaLine(_below(shown, folder), model, base, facts.choice.method, *sizes)
        elif manifest.get("kind") == DELTA_KIND:
            file = place / "delta.safetensors"
            base = f"FLM {manifest['config']['source']}"
            yield DeltaLine(_below(place, folder), "flm", base, "full", _numbers(file), 0, file.stat().st_size)


def _of_adapted(folder: Path) -> Iterator[DeltaLine]:
    """Deltas of `kinema adapt`, in peft's format or as differences."""
    for name, method in ((LORA_FILE, "lora"), (DIFFERENCE_FILE, "full")):
        for file in folder.rglob(name):
            if method == "lora":
                base = json.loads((file.parent / LORA_CONFIG).read_text(encoding="utf-8"))["base_model_name_or_path"]
            else:
                with safe_open(file, framework="pt") as stream:
                    base = (stream.metadata() or {}).get("base", "")
            shown = file.parent.parent if file.parent.name == DELTA_FOLDER else file.parent
            yield DeltaLine(
                _below(shown, folder), "adapted encoder", str(base), method, _numbers(file), 0, file.stat().st_size
            )


def _below(place: Path, folder: Path) -> str:
    return place.relative_to(folder).as_posix() if place != folder else place.name


def _numbers(file: Path) -> int:
    """Numbers in a file of tensors, by its header."""
    with safe_open(file, framework="pt") as stream:
        return sum(prod(stream.get_slice(name).get_shape()) for name in stream.keys())  # noqa: SIM118  # no mapping


def merge_delta(model: Path, to: Path) -> MergeReport:
    """Write an encoder with what a task has taught it, as a folder that ``[encoders] text`` and transformers read.

    The task's head is not part of it.

    Args:
        model: Of `kinema finetune text` or `kinema finetune rerank`.
        to: A new folder.

    Raises:
        NotBuiltError: There is no such model.
        ConfigError: The folder is not empty, or adapters or a prefix cannot be merged.
        StaleArtifactError: The encoder is not the one it was learnt on.
    """
    if to.exists() and any(to.iterdir()):
        raise ConfigError(f"--to must be a new folder, '{to}' is not empty; name another")
    name, network, tokenizer = _load(model)
    chosen = put_on(network, model / DELTA_FOLDER)
    facts = delta_facts(model / DELTA_FOLDER)
    chosen.merge()
    encoder: Any = network.encoder
    source = find_text_source(name)
    with quiet():
        encoder.save_pretrained(to)
        tokenizer.save_pretrained(to)
    pooling = {f"pooling_mode_{theirs}": source.pooling == ours for theirs, ours in _POOLINGS.items()}
    prompts = {"prompts": {"query": source.query_prefix, "passage": source.passage_prefix}}
    for file, content in ((POOLING_FILE, pooling), (PROMPTS_FILE, prompts)):
        (to / file).parent.mkdir(parents=True, exist_ok=True)
        (to / file).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    size = (to / "model.safetensors").stat().st_size
    return MergeReport(to, name, facts.choice.method, facts.num_parameters - facts.num_heads, size)


def _load(model: Path) -> tuple[str, TextClassifier, Any]:
    """Name of the encoder, the network without the delta, and its tokenizer."""
    path = model / MANIFEST
    kind = json.loads(path.read_text(encoding="utf-8")).get("kind") if path.is_file() else ""
    if kind == finetuning_text.KIND:
        manifest = finetuning_text.read_model(model)
        return manifest.config["encoder"], *finetuning_text.load_network(manifest)
    if kind == reranker.KIND:
        config = reranker.read_config(model)
        name = reranker.encoder_of(config, model.parent.parent)
        return name, *load_cross_encoder(name)
    raise NotBuiltError(
        f"kinema delta merge needs a model of kinema finetune text or rerank, '{model}' is none; "
        "for FLM's delta: kinema delta apply"
    )
