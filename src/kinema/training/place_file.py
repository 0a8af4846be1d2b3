"""Tensors and a place in one file that survives `kill -9`: replaced atomically, used by no other run.

What the tensors are is the caller's business; `checkpoint` and `adaptation.progress_file` are the two.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor


def write_place(path: Path, *, run: str, place: Any, tensors: Mapping[str, Tensor]) -> None:
    """Write the file; a crash at any moment leaves the old or the new one.

    Args:
        path: Of the file; its folder is made if it is not there.
        run: Fingerprint of everything the result follows from.
        place: A dataclass of JSON values.
        tensors: Name -> tensor.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    metadata = {"run": run, "place": json.dumps(asdict(place))}
    save_file({name: one.detach().clone().contiguous() for name, one in tensors.items()}, draft, metadata=metadata)
    with draft.open("rb") as stream:
        os.fsync(stream.fileno())
    draft.replace(path)


def read_place(path: Path, *, run: str) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Place and tensors; None where there is no file, or it is of another run."""
    if not path.is_file():
        return None
    with safe_open(path, framework="pt") as stream:
        metadata = stream.metadata()
        if metadata["run"] != run:
            return None
        tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118  # not a mapping
    place: dict[str, Any] = json.loads(metadata["place"])
    return place, tensors
