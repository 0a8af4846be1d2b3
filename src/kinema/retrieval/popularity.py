"""What is watched now, by everybody or by people with the same profile attributes.

Shape suffixes: V items, U users, N interactions, P profile columns, S segments, M segments of one user.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.errors import DataError
from kinema.retrieval.kept import Changes, KeptWhile, patience
from kinema.retrieval.query import Query
from kinema.retrieval.top import Candidates, first_allowed, top
from kinema.store.features import Profiles
from kinema.store.histories import Histories

DAY_MS: Final = 86_400_000
_NUM_LEADERS: Final = 4096
"""Most watched items that are kept in order: enough for any slate unless rules leave few of them."""


def recency_weights(timestamps_ms_N: NDArray[np.int64], *, now_ms: int, half_life_days: float) -> NDArray[np.float64]:
    """Weight of each interaction: 1 now, a half after one half-life, 0 for what happens after ``now_ms``.

    Example:
        >>> recency_weights(np.array([0, DAY_MS, 2 * DAY_MS]), now_ms=DAY_MS, half_life_days=1)
        array([0.5, 1. , 0. ])
    """
    age_days_N = (now_ms - timestamps_ms_N.astype(np.float64)) / DAY_MS
    weights_N = np.exp2(-np.maximum(age_days_N, 0.0) / half_life_days)
    return np.asarray(np.where(age_days_N < 0, 0.0, weights_N), dtype=np.float64)


def decayed_counts(
    histories: Histories, *, now_ms: int | None = None, half_life_days: float = 30.0
) -> NDArray[np.float64]:
    """Interactions per item, the newer the more.

    Args:
        histories: Everybody's interactions.
        now_ms: The moment "now", UTC milliseconds; None takes the newest interaction.
        half_life_days: After this many days an interaction counts half, > 0.

    Returns:
        float64 [V], >= 0.
    """
    if not len(histories.items):
        return np.zeros(histories.num_items)
    now = int(histories.timestamps_ms.max()) if now_ms is None else now_ms
    weights_N = recency_weights(histories.timestamps_ms, now_ms=now, half_life_days=half_life_days)
    return np.bincount(histories.items, weights=weights_N, minlength=histories.num_items).astype(np.float64)


@dataclass(frozen=True)
class Segments:
    """Popularity among the users who share a profile attribute.

    A segment is an interval of one profile column: ``(0, inf]`` for a text attribute, a third of the audience for a
    number. A value of exactly 0 means "not given" and belongs to none.

    Attributes:
        names: S names such as ``country=de`` or ``age: low``.
        places_S: The column of each.
        above_S: Its lower end, exclusive.
        up_to_S: Its upper end, inclusive.
        counts_SV: float64, decayed interactions of the segment's users per item.
        prior: Interactions of the whole audience that are mixed into each segment: a segment of three people should
            not outvote everybody.
        changes: Told when a count of everybody changes.
    """

    names: tuple[str, ...]
    places_S: NDArray[np.int64]
    above_S: NDArray[np.float64]
    up_to_S: NDArray[np.float64]
    counts_SV: NDArray[np.float64]
    prior: float
    changes: Changes = field(default_factory=Changes, compare=False)
    _shares: KeptWhile[NDArray[np.float64]] = field(default_factory=KeptWhile, init=False, repr=False, compare=False)

    def of(self, profile_P: NDArray[np.float32]) -> NDArray[np.int64]:
        """Numbers of the segments that a profile row belongs to.

        Raises:
            DataError: The row ends before the columns the segments were counted on.
        """
        if len(self.places_S) and len(profile_P) <= int(self.places_S.max()):
            raise DataError(
                f"a profile row must have more than {int(self.places_S.max())} columns, got {len(profile_P)}; "
                "encode it with the columns the segments were counted on"
            )
        return np.flatnonzero(_inside(profile_P[self.places_S], self.above_S, self.up_to_S))

    def shares(self, profile_P: NDArray[np.float32], popularity_V: NDArray[np.float64]) -> NDArray[np.float64]:
        """Expected share of each item in the next interactions of people with this profile; sums to 1.

        The mean over the user's attributes of each segment's share, smoothed towards the whole audience's. Multiplying
        the segments' lifts instead (naive Bayes) counts attributes that go together twice and ranks worse than plain
        popularity.

        Args:
            profile_P: The user's profile row.
            popularity_V: Decayed interactions of everybody.

        Returns:
            float64 [V], not to be written to; the whole audience's shares for a user without a known attribute.
        """
        mine = self.of(profile_P)
        return self._shares.get(
            self.changes,
            tuple(mine.tolist()),
            lambda: self._shares_of(mine, popularity_V),
            waiting=patience(len(popularity_V)),
        )

    def _shares_of(self, mine: NDArray[np.int64], popularity_V: NDArray[np.float64]) -> NDArray[np.float64]:
        total = popularity_V.sum()
        overall_V = popularity_V / total if total > 0 else np.zeros_like(popularity_V)
        if not len(mine):
            return overall_V
        counts_MV = self.counts_SV[mine]
        smoothed_MV = (counts_MV + self.prior * overall_V) / (counts_MV.sum(axis=1, keepdims=True) + self.prior)
        return np.asarray(smoothed_MV.mean(axis=0))


def count_segments(
    histories: Histories,
    profiles: Profiles,
    *,
    now_ms: int | None = None,
    half_life_days: float = 30.0,
    prior: float = 100.0,
) -> Segments:
    """Count what the users of each profile attribute watch.

    Args:
        histories: Row u is user u.
        profiles: Row u is user u.
        now_ms: As in `decayed_counts`.
        half_life_days: As in `decayed_counts`.
        prior: See `Segments`; > 0.

    Returns:
        One segment per text attribute value, three per number.

    Raises:
        DataError: Histories and profiles have different numbers of users.
    """
    if len(profiles.values_UP) != histories.num_users:
        raise DataError(
            f"profiles must have one row per user, got {len(profiles.values_UP)} rows for {histories.num_users} users"
        )
    names: list[str] = []
    places: list[int] = []
    ends: list[tuple[float, float]] = []
    for place, column in enumerate(profiles.columns):
        for name, above, up_to in _intervals(column, profiles.values_UP[:, place]):
            names.append(name)
            places.append(place)
            ends.append((above, up_to))
    above_S, up_to_S = np.array(ends, dtype=np.float64).reshape(-1, 2).T
    member_US = _inside(profiles.values_UP[:, places], above_S, up_to_S)
    newest = int(histories.timestamps_ms.max()) if len(histories.items) else 0
    weights_N = recency_weights(
        histories.timestamps_ms, now_ms=newest if now_ms is None else now_ms, half_life_days=half_life_days
    )
    watched_UV = sparse.csr_array(
        (weights_N, histories.items, histories.offsets), shape=(histories.num_users, histories.num_items)
    )
    counts_SV = (sparse.csr_array(member_US.T, dtype=np.float64) @ watched_UV).toarray()
    return Segments(tuple(names), np.array(places, dtype=np.int64), above_S, up_to_S, counts_SV, prior)


def _inside(
    values: NDArray[np.floating], above_S: NDArray[np.float64], up_to_S: NDArray[np.float64]
) -> NDArray[np.bool_]:
    return np.asarray((values > above_S) & (values <= up_to_S) & (values != 0))


def _intervals(column: str, values_U: NDArray[np.float32]) -> list[tuple[str, float, float]]:
    if "=" in column:
        return [(column, 0.0, np.inf)]
    given = values_U[values_U != 0]
    if not len(given):
        return []
    low, high = (float(edge) for edge in np.quantile(given, [1 / 3, 2 / 3]))
    return [(f"{column}: low", -np.inf, low), (f"{column}: middle", low, high), (f"{column}: high", high, np.inf)]


@dataclass(frozen=True)
class PopularityRetriever:
    """What is watched most now. Proposes every allowed item if asked for enough, so a slate can always be filled.

    Attributes:
        popularity_V: float64, decayed interactions per item.
        segments: Counts by profile attribute; None without profiles.
        name: The source its candidates carry.
        changes: Told when a count changes; counts only grow.
    """

    popularity_V: NDArray[np.float64]
    segments: Segments | None = None
    name: str = "popularity"
    changes: Changes = field(default_factory=Changes, compare=False)
    _leaders: KeptWhile[tuple[int, NDArray[np.int64]]] = field(
        default_factory=KeptWhile, init=False, repr=False, compare=False
    )

    def __call__(self, query: Query, num: int) -> Candidates:
        """The ``num`` most watched allowed items, among people like the user where a profile is known."""
        scores_V, mine = self.popularity_V, ()
        if self.segments is not None and query.profile_P is not None:
            scores_V = self.segments.shares(query.profile_P, self.popularity_V)
            mine = tuple(self.segments.of(query.profile_P).tolist())
        state, leaders = self._leaders.get(
            self.changes,
            mine,
            lambda: (len(self.changes), top(scores_V, _NUM_LEADERS)),
            waiting=patience(len(scores_V)),
        )
        items_K = first_allowed(leaders, query.allowed_V, num)
        newer = np.array(self.changes.since(state), dtype=np.int64)
        if len(newer):
            among = np.union1d(items_K, newer[query.allowed_V[newer]])
            items_K = among[top(scores_V[among], num)]
        if len(items_K) < num and len(leaders) == _NUM_LEADERS:
            items_K = top(scores_V, num, query.allowed_V)
        return Candidates(self.name, items_K, scores_V[items_K])
