"""What was set aside, as files for the owner of the data."""

import json
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Final

from kinema.drafts import own_draft, remove_left_drafts
from kinema.schema import Reject
from kinema.store.protocols import Store

_MADE_BY_US: Final = "*.jsonl"


def write_rejects(store: Store, folder: Path) -> tuple[Path, ...]:
    """Write one file of JSON lines per source file that had rows set aside: kind, file, row, reason, raw.

    The store is the truth and the folder its picture: files of sources without rejects are removed, and a run that is
    killed here is made good by the next one.

    Args:
        store: Where the rejects are.
        folder: Usually ``rejects`` in the project; only written where there is something to write or to remove.

    Returns:
        The files, by name.
    """
    by_name: dict[str, list[Reject]] = {}
    for reject in store.rejects():
        by_name.setdefault(_file_name(reject.file), []).append(reject)
    for stale in folder.glob(_MADE_BY_US):
        if stale.name not in by_name:
            stale.unlink(missing_ok=True)
    remove_left_drafts(folder)
    for name, rejects in by_name.items():
        folder.mkdir(parents=True, exist_ok=True)
        draft = own_draft(folder / name)
        with draft.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(asdict(reject), ensure_ascii=False) + "\n" for reject in rejects)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(folder / name)
    return tuple(folder / name for name in sorted(by_name))


def _file_name(source: str) -> str:
    """``data/my events.csv`` -> ``my_events.csv.jsonl``."""
    return re.sub(r"[^\w.\-]+", "_", Path(source).name) + ".jsonl"
