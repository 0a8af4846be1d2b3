"""Pseudonyms read backwards: whose one is.

A pseudonym is a keyed hash, so the only way back is to have computed it of everybody. That takes microseconds a user, and is done
when the first is asked for, then for those who came since; it keeps 18 bytes a user, of which the search is a comparison with all.

Shape suffixes: U users.
"""

import secrets
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.people import People
from kinema.serving.privacy import PSEUDONYM, Pseudonyms

_WIDTH: Final = 18
"""Signs of a pseudonym."""


class PeopleNames:
    """Who is behind a pseudonym.

    Args:
        pseudonyms: Names people; None names them by a key of this process alone.
        people: Those that answers know now; numbers keep who they stand for.

    Example:
        >>> from kinema.store.histories import Histories
        >>> people = People(["ann", "bob"], Histories.from_lists([[], []], num_items=1))
        >>> names = PeopleNames(Pseudonyms(b"sixteen bytes it is"), lambda: people)
        >>> names.id_of(names.of("bob")), names.id_of(names.of("eve"))
        ('bob', None)
    """

    def __init__(self, pseudonyms: Pseudonyms | None, people: Callable[[], People]) -> None:
        self.of = (pseudonyms or Pseudonyms(secrets.token_bytes(32))).of
        self._people = people
        self._names_U: NDArray[np.bytes_] = np.zeros(0, dtype=f"S{_WIDTH}")
        self._lock = Lock()

    def id_of(self, name: str) -> str | None:
        """The id of somebody who is known; None for nobody. Takes time in proportion to the number of users."""
        if not PSEUDONYM.fullmatch(name):
            return None
        # Who was erased and came again has a number for each time.
        numbers = np.flatnonzero(self._names() == name.encode()).tolist()
        return next((user for number in numbers if (user := self._known(number, name))), None)

    def with_part(self, part: str, *, after: int) -> Iterator[tuple[int, str]]:
        """Numbers and ids of those whose pseudonym contains a text, or who have it for an id; in the order in which they came.

        Parts of ids are not compared: who may not see an id could find it out sign by sign.
        """
        people, names_U = self._people(), self._names()
        fits_U = np.zeros(len(names_U), dtype=np.bool_)
        if part.isascii():
            fits_U = np.char.find(names_U, part.lower().encode()) >= 0
        own = people.number(part)
        if own is not None and own < len(fits_U):
            fits_U[own] = True
        fits_U[: after + 1] = False
        for number in np.flatnonzero(fits_U).tolist():
            user = self._known(number, names_U[number].decode())
            if user is not None:
                yield number, user

    def _known(self, number: int, name: str) -> str | None:
        """The id of a number, if it is somebody's still."""
        people = self._people()
        user = next(iter(people.ids_from(number)[:1]), "")
        return user if people.number(user) == number and self.of(user) == name else None

    def _names(self) -> NDArray[np.bytes_]:
        """By number; empty where nobody was told of it. What has come since the last question is added."""
        with self._lock:
            empty = np.flatnonzero(self._names_U == b"")
            start = int(empty[0]) if len(empty) else len(self._names_U)
            come = self._people().ids_from(start)
            if come:
                added = np.array([self.of(user) if user else "" for user in come], dtype=f"S{_WIDTH}")
                self._names_U = np.concatenate([self._names_U[:start], added])
            return self._names_U
