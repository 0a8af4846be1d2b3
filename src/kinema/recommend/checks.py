"""What a question must look like before it is answered."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError, DataError, did_you_mean
from kinema.schema import Request
from kinema.store.histories import Histories

MAX_SLATE: Final = 1000


def check_count(name: str, value: int, *, where: str) -> None:
    """A length must be a whole number from 1 to 1000.

    Raises:
        DataError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= MAX_SLATE:
        raise DataError(f"{name} must be a whole number in 1..{MAX_SLATE}, got {value!r} in {where}")


def check_request(request: Request) -> None:
    """Refuse a request that has no answer.

    Raises:
        DataError: Its length is out of range.
    """
    check_count("num_items", request.num_items, where=f"the request of user '{request.user}'")


def check_modality(name: str, known: Sequence[str]) -> None:
    """A modality that is named must be one that items have.

    Raises:
        DataError: It is not; the message has the nearest.
    """
    if name not in known:
        raise DataError(
            f"unknown modality '{name[:80]}'{did_you_mean(name, known)} known: {', '.join(known) or 'none'}"
        )


def check_settings(
    *, num_candidates: int, diversity: float, max_per_category: int | None, fresh_days: float, fresh_share: float
) -> None:
    """Refuse settings that cannot work.

    Raises:
        ConfigError: A setting is out of range.
    """
    if num_candidates < 1:
        raise ConfigError(f"num_candidates must be >= 1, got {num_candidates}")
    if not 0 <= diversity <= 1:
        raise ConfigError(f"diversity must be in [0, 1], got {diversity}")
    if max_per_category is not None and max_per_category < 1:
        raise ConfigError(f"max_per_category must be >= 1 or absent, got {max_per_category}")
    if not fresh_days >= 0:
        raise ConfigError(f"fresh_days must be >= 0, got {fresh_days}")
    if not 0 <= fresh_share <= 1:
        raise ConfigError(f"fresh_share must be in [0, 1], got {fresh_share}")


def one_row(history: Histories | None, num_items: int) -> Histories:
    """The user's history as one row over the current catalogue; empty where there is none.

    The catalogue may have grown since the history was packed, so only the item numbers must fit.

    Raises:
        DataError: It has more than one row, or an item number outside of the catalogue.
    """
    if history is None:
        return Histories.from_lists([[]], num_items)
    if history.num_users != 1:
        raise DataError(
            f"a history must have one row, got {history.num_users}; take the user's own: histories.take([u])"
        )
    check_items(history.items, num_items)
    return Histories(history.offsets, history.items, history.timestamps_ms, num_items)


def check_items(items_N: NDArray[np.integer], num_items: int) -> None:
    """Item numbers must be rows of the catalogue.

    Raises:
        DataError: One is not.
    """
    if len(items_N) and not 0 <= int(items_N.min()) <= int(items_N.max()) < num_items:
        worst = int(items_N.min()) if items_N.min() < 0 else int(items_N.max())
        raise DataError(
            f"item numbers of a history must be in 0..{num_items - 1}, got {worst}; "
            "catalogue and histories must come from the same store version"
        )
