"""Which slices an exposure belongs to: what a click model may be wrong about in one direction.

Shape suffixes: N exposures, V catalogue, U users, P profile columns.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.tasks.history_click import ClickWorld

PLACE: Final = "place"
UNKNOWN: Final = "unknown"
_LAST_PLACE: Final = 9
_EDGES: Final = (1, 10, 50)
"""Events a user has left behind: none, a few, some, many."""
_ACTIVITIES: Final = np.array(["none", "1-9", "10-49", "50+"])


def click_slices(
    world: ClickWorld,
    *,
    users_N: NDArray[np.integer],
    items_N: NDArray[np.integer],
    ends_N: NDArray[np.int64],
    positions_N: NDArray[np.integer] | None,
    profile_columns: Sequence[str] = (),
) -> dict[str, NDArray[np.str_]]:
    """Slicing -> slice of each exposure.

    Args:
        world: What the exposures are judged by; an item without popularity counts as cold.
        users_N: User numbers.
        items_N: Item numbers.
        ends_N: Where what each user did before ends, see `kinema.store.trails.Trails.ends_before`.
        positions_N: Place in the slate, -1 where unknown; None for all unknown.
        profile_columns: Names of the world's profile columns; those of one attribute, ``device=tv`` and ``device=phone``, are a
            slicing.

    Returns:
        ``item`` (cold or warm), ``activity`` of the user (events before), ``place``, and a slicing per attribute.
    """
    trails = world.trails
    before_N = ends_N - trails.starts(users_N)
    places_N = np.full(len(items_N), -1) if positions_N is None else np.asarray(positions_N)
    found = {
        "item": np.where(world.popularity_V[items_N] > 0, "warm", "cold"),
        "activity": _ACTIVITIES[np.searchsorted(_EDGES, before_N, side="right")],
        PLACE: np.where(places_N < 0, UNKNOWN, np.minimum(places_N, _LAST_PLACE).astype(str)),
    }
    return found | _attributes(world.profiles_UP, users_N, profile_columns)


def shown_slice(slicing: str, key: str) -> str:
    """A slice as people read it, places from 1; a slicing with one slice by its name alone.

    Example:
        >>> [shown_slice("place", "0"), shown_slice("place", "9"), shown_slice("item", "cold"), shown_slice("all", "all")]
        ['place=1', 'place=10 or later', 'item=cold', 'all']
    """
    if slicing == PLACE and key != UNKNOWN:
        return f"{PLACE}={int(key) + 1}{' or later' if int(key) == _LAST_PLACE else ''}"
    return slicing if slicing == key else f"{slicing}={key}"


def _attributes(
    profiles_UP: NDArray[np.float32] | None, users_N: NDArray[np.integer], columns: Sequence[str]
) -> dict[str, NDArray[np.str_]]:
    """Attribute -> value of each exposure's user."""
    if profiles_UP is None:
        return {}
    groups: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        name, equals, _ = column.partition("=")
        if equals:
            groups.setdefault(name, []).append(place)
    known_N = users_N < len(profiles_UP)
    rows_NP = profiles_UP[np.where(known_N, users_N, 0)] * known_N[:, None]
    found = {}
    for name, places in groups.items():
        values = np.array([*(columns[place].partition("=")[2] for place in places), UNKNOWN])
        own_NP = rows_NP[:, places]
        found[name] = values[np.where((own_NP > 0).any(axis=1), own_NP.argmax(axis=1), len(places))]
    return found
