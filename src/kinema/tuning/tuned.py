"""`tuned.json`: the settings a search has chosen, and when they still hold."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from kinema.errors import StaleArtifactError
from kinema.flm.config import FLMConfig

FILE_NAME: Final = "tuned.json"
_MOST_GROWTH: Final = 2.0
"""Settings are used again while the catalogue and the log have between half and twice the size they were found at."""


@dataclass(frozen=True)
class Tuned:
    """What a search chose.

    Attributes:
        settings: Setting -> value; empty where the default settings are kept.
        value: NDCG@10 of the fused scores on validation with them.
        default_value: The same with the default settings.
        trials: Trials that were over.
        seconds: They took.
        seed: Of the search.
        num_items: Size of the catalogue.
        num_interactions: Training interactions.
    """

    settings: Mapping[str, Any]
    value: float
    default_value: float
    trials: int
    seconds: float
    seed: int
    num_items: int
    num_interactions: int

    def holds_for(self, *, num_items: int, num_interactions: int) -> bool:
        """Whether a data set is of the size the settings were found at.

        Example:
            >>> found = Tuned({"dropout": 0.1}, 0.2, 0.1, 9, 60.0, 0, num_items=100, num_interactions=1000)
            >>> found.holds_for(num_items=120, num_interactions=1900)
            True
            >>> found.holds_for(num_items=120, num_interactions=2100)
            False
        """
        ratios = (num_items / max(self.num_items, 1), num_interactions / max(self.num_interactions, 1))
        return all(1 / _MOST_GROWTH <= ratio <= _MOST_GROWTH for ratio in ratios)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self) | {"settings": dict(self.settings)}


def save_tuned(folder: Path, tuned: Tuned) -> None:
    """Write the file as a whole or not at all.

    Args:
        folder: Of the artefacts.
        tuned: What was chosen.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{FILE_NAME}.draft"
    draft.write_text(json.dumps(tuned.as_dict(), indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / FILE_NAME)


def load_tuned(folder: Path) -> Tuned | None:
    """Read the file; None where there is none.

    Raises:
        StaleArtifactError: It cannot be read, or names a setting that is no more.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    remedy = f"run: kinema pretrain --tune SECONDS, or remove {path.parent.name}/{FILE_NAME}"
    try:
        tuned = Tuned(**json.loads(path.read_text(encoding="utf-8")))
        unknown = sorted(set(tuned.settings) - {field.name for field in fields(FLMConfig)})
    except (ValueError, TypeError) as error:
        raise StaleArtifactError(f"{FILE_NAME} cannot be read: {error}; {remedy}") from error
    if unknown:
        raise StaleArtifactError(f"{FILE_NAME} names the setting '{unknown[0]}', which there is not; {remedy}")
    return tuned
