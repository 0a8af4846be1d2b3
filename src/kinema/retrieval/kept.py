"""What follows from the counts of all items, kept while the counts stay as they are.

Counts are written in place, event by event, by another thread, which tells of it. To make anew what is kept is a pass over the
catalogue; a large one can wait a little for it.

Shape suffixes: V items.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

Made = TypeVar("Made")
_MOST: Final = 32
_PER_CHANGE: Final = 4096


class Changes:
    """The items whose counts have changed, one after the other.

    Example:
        >>> changes = Changes()
        >>> changes.tell(7)
        >>> len(changes), changes.since(0)
        (1, [7])
    """

    def __init__(self) -> None:
        self._items: list[int] = []

    def __len__(self) -> int:
        """Changes so far."""
        return len(self._items)

    def tell(self, item: int) -> None:
        """The count of an item has changed."""
        self._items.append(item)

    def since(self, num: int) -> list[int]:
        """What has changed behind the first so many changes."""
        return self._items[num:]


def patience(num_items: int) -> int:
    """Changes that may wait until what follows from all counts is made anew: none in a small catalogue.

    Example:
        >>> patience(1000), patience(1_000_000)
        (0, 244)
    """
    return num_items // _PER_CHANGE


class KeptWhile(Generic[Made]):
    """Results by name, of one state of the counts; the oldest go first.

    Args:
        most: Results kept at once.

    Example:
        >>> kept, changes, counts = KeptWhile(), Changes(), [1.0, 2.0]
        >>> kept.get(changes, "sum", lambda: sum(counts))
        3.0
        >>> counts[0] += 1
        >>> changes.tell(0)
        >>> kept.get(changes, "sum", lambda: sum(counts))
        4.0
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, tuple[int, Made]] = OrderedDict()

    def get(self, changes: Changes, name: Hashable, make: Callable[[], Made], *, waiting: int = 0) -> Made:
        """What is kept under a name, made anew where more than ``waiting`` counts have changed since."""
        state = len(changes)
        found = self._kept.get(name)
        if found is not None and state - found[0] <= waiting:
            return found[1]
        made = make()
        self._kept.pop(name, None)
        self._kept[name] = (state, made)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return made
