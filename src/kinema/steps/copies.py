"""What `kinema duplicates` found, as an artefact: written by that command, read wherever slates are made."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import read_manifest, write_artifact
from kinema.errors import NotBuiltError, StaleArtifactError
from kinema.logs import get_logger

KIND: Final = "duplicates"
FORMAT_VERSION: Final = 1
REMEDY: Final = "kinema duplicates"
_FILE: Final = "groups.json"


def write_copies(folder: Path, groups: Sequence[Sequence[str]], *, config: Mapping[str, Any]) -> None:
    """Write groups of copies.

    Args:
        folder: The artefact; one that is there is replaced.
        groups: Item ids, the one to keep first.
        config: What the groups depend on.
    """
    with write_artifact(folder, kind=KIND, format_version=FORMAT_VERSION, config=config) as draft:
        lines = ",\n".join(json.dumps(list(group), ensure_ascii=False) for group in groups)
        (draft / _FILE).write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def load_copies(folder: Path, item_ids: Sequence[str]) -> NDArray[np.int64] | None:
    """Read which items are copies of each other.

    Args:
        folder: The artefact.
        item_ids: Id of each item of the catalogue.

    Returns:
        int64, one number per item: its group, or -1. Items that the catalogue does not know are left out, and with them
        groups of which one is left. None without the artefact; a damaged one is logged and counts as none, since a slate
        with two copies is better than no slate.
    """
    try:
        read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy=REMEDY, verify=True)
        groups = json.loads((folder / _FILE).read_text(encoding="utf-8"))
    except NotBuiltError:
        return None
    except StaleArtifactError as error:
        get_logger("duplicates").warning("groups of copies left out", why=str(error))
        return None
    numbers = {item_id: number for number, item_id in enumerate(item_ids)}
    copies_V = np.full(len(item_ids), -1, dtype=np.int64)
    for group, members in enumerate(groups):
        known = [numbers[one] for one in members if one in numbers]
        if len(known) > 1:
            copies_V[known] = group
    return copies_V
