"""Who asks: what each user did, by id, growing event by event while it is being asked.

A reading of the store is packed once and never changed; what happens afterwards is kept beside it, per user. Readers take no
lock: what they see of one user is replaced as a whole.

Shape suffixes: U users, N interactions, P profile columns.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinema.store.histories import Histories

ReadProfile = Callable[[Mapping[str, Any]], NDArray[np.float32]]


class People:
    """Histories, profiles and dislikes of users.

    Args:
        ids: User id by number.
        histories: One row per user.
        profiles_UP: One row per user; None without profiles.
        disliked: User number -> ids of items that are not to be shown to them.
        read_profile: Makes a profile row of attributes, for users who come later; None leaves theirs out.

    Example:
        >>> people = People(["ann"], Histories.from_lists([[2, 0]], num_items=3))
        >>> people.record(0, 1, timestamp_ms=9).tolist()
        [2, 0]
        >>> people.history("ann").items.tolist()
        [2, 0, 1]
    """

    def __init__(
        self,
        ids: Sequence[str],
        histories: Histories,
        *,
        profiles_UP: NDArray[np.float32] | None = None,
        disliked: Mapping[int, Iterable[str]] | None = None,
        read_profile: ReadProfile | None = None,
    ) -> None:
        self._numbers = {user: number for number, user in enumerate(ids)}
        self._ids = list(ids)
        self._base = histories
        self._profiles_UP = profiles_UP
        self._own_profiles: dict[int, NDArray[np.float32]] = {}
        self._read_profile = read_profile
        self._later: dict[int, Histories] = {}
        self._disliked = {number: tuple(dict.fromkeys(items)) for number, items in (disliked or {}).items()}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """U, with those who came later."""
        return len(self._ids)

    def ids_from(self, number: int) -> list[str]:
        """Ids by number, from one on; empty for a number of which nobody has told yet, and still there for one who is forgotten."""
        with self._lock:
            return self._ids[number:]

    def number(self, user_id: str) -> int | None:
        """Number of a user; None for one who is not known."""
        return self._numbers.get(user_id)

    def history(self, user_id: str) -> Histories | None:
        """What a user did, one row; None for one who is not known."""
        number = self._numbers.get(user_id)
        return None if number is None else self.row(number)

    def row(self, number: int) -> Histories:
        """What the user of a number did, one row, the first interaction with each item, oldest first."""
        later = self._later.get(number)
        if later is not None:
            return later
        if number >= self._base.num_users:
            return Histories.from_lists([[]], self._base.num_items)
        return self._base.take([number])

    def profile(self, user_id: str) -> NDArray[np.float32] | None:
        """A user's profile row, float32 [P]; None where nothing is known of them."""
        number = self._numbers.get(user_id)
        if number is None:
            return None
        if number in self._own_profiles:
            return self._own_profiles[number]
        if self._profiles_UP is None or number >= len(self._profiles_UP):
            return None
        row_P: NDArray[np.float32] = self._profiles_UP[number]
        return row_P

    def profiles(self) -> NDArray[np.float32] | None:
        """Profile rows of everyone, float32 [U, P]; None without profiles."""
        if self._profiles_UP is None:
            return None
        with self._lock:
            missing = len(self._ids) - len(self._profiles_UP)
            own = dict(self._own_profiles)
        if not missing and not own:
            return self._profiles_UP
        rows_UP = np.pad(self._profiles_UP, ((0, missing), (0, 0)))
        for number, row_P in own.items():
            rows_UP[number] = row_P
        return rows_UP

    def disliked(self, user_id: str) -> tuple[str, ...]:
        """Ids of items a user does not want to see."""
        number = self._numbers.get(user_id)
        return () if number is None else self._disliked.get(number, ())

    def add(self, number: int, user_id: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Know a user who came after the reading, or one whose attributes have changed.

        Args:
            number: Of the store.
            user_id: Their id.
            attributes: Makes their profile; None leaves it as it is.
        """
        with self._lock:
            while len(self._ids) <= number:
                self._ids.append("")
            self._ids[number] = user_id
            self._numbers[user_id] = number
            if attributes is not None and self._read_profile is not None:
                self._own_profiles[number] = self._read_profile(attributes)

    def forget(self, user_id: str) -> None:
        """Know a user no longer, nor what they did."""
        with self._lock:
            number = self._numbers.pop(user_id, None)
            if number is not None:
                self._later[number] = Histories.from_lists([[]], self._base.num_items)
                self._disliked.pop(number, None)
                self._own_profiles.pop(number, None)

    def record(self, number: int, item: int, *, timestamp_ms: int) -> NDArray[np.int32] | None:
        """Add an interaction; one with an item that is in the history already changes nothing.

        Args:
            number: The user's.
            item: Item number, in the catalogue of the reading.
            timestamp_ms: UTC milliseconds; one that arrives late takes its place by time.

        Returns:
            The items before it, int32, oldest first; None where nothing was added.
        """
        with self._lock:
            past = self.row(number)
            if item in past.items:
                return None
            place = int(np.searchsorted(past.timestamps_ms, timestamp_ms, side="right"))
            items_N = np.insert(past.items, place, item).astype(np.int32)
            times_N = np.insert(past.timestamps_ms, place, timestamp_ms).astype(np.int64)
            self._later[number] = Histories(np.array([0, len(items_N)]), items_N, times_N, self._base.num_items)
            return past.items[:place]

    def dislike(self, number: int, item_id: str) -> None:
        """Do not show an item to a user again."""
        with self._lock:
            self._disliked[number] = tuple(dict.fromkeys((*self._disliked.get(number, ()), item_id)))

    def like_again(self, number: int, item_id: str) -> None:
        """Take a dislike back."""
        with self._lock:
            self._disliked[number] = tuple(one for one in self._disliked.get(number, ()) if one != item_id)

    def snapshot(self) -> tuple[list[str], Histories]:
        """Everyone as they are now: user id by number, and their histories packed."""
        with self._lock:
            ids, later = list(self._ids), sorted(self._later.items())
        base = self._base
        num_known = base.num_users
        if not later and len(ids) == num_known:
            return ids, base
        lengths_U = np.concatenate([base.lengths, np.zeros(len(ids) - num_known, dtype=np.int64)])
        items, times, behind = [], [], 0
        for number, row in later:
            lengths_U[number] = len(row.items)
            start = int(base.offsets[min(number, num_known)])
            items += [base.items[behind:start], row.items]
            times += [base.timestamps_ms[behind:start], row.timestamps_ms]
            behind = int(base.offsets[min(number + 1, num_known)])
        items_N = np.concatenate([*items, base.items[behind:]]).astype(np.int32)
        times_N = np.concatenate([*times, base.timestamps_ms[behind:]]).astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths_U)]).astype(np.int64)
        return ids, Histories(offsets, items_N, times_N, base.num_items)
