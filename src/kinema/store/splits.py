"""Splits: what a model may learn from and what it is asked afterwards.

One case is one question: a user with a history at a moment, and the items that turned out to be right. Every protocol
reduces to training histories plus cases, so one evaluator serves them all.

Shape suffixes: C cases, V items.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError, DataError
from kinema.seeds import generator
from kinema.store.cuts import check_time_order, iso_moment, period_starts, slices, tie_starts, without_items
from kinema.store.histories import Histories

_ALWAYS: Final = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Cases:
    """Questions with their right answers.

    Attributes:
        users_C: int32, user numbers.
        timestamps_ms_C: int64, when each question is asked.
        histories: C rows, what is known of the user before that moment.
        targets: C rows, the right items (one each in next-item protocols); their time stamps are the events'.
    """

    users_C: NDArray[np.int32]
    timestamps_ms_C: NDArray[np.int64]
    histories: Histories
    targets: Histories

    def __len__(self) -> int:
        """C."""
        return len(self.users_C)

    def take(self, rows_R: NDArray[np.integer]) -> "Cases":
        """The given cases, in that order."""
        return Cases(
            self.users_C[rows_R], self.timestamps_ms_C[rows_R], self.histories.take(rows_R), self.targets.take(rows_R)
        )


@dataclass(frozen=True)
class Split:
    """A protocol applied to a log.

    Attributes:
        name: ``leave-one-out``, ``temporal`` or ``cold``.
        train: U rows, what models are fitted on.
        valid: Cases to choose hyper-parameters and the stopping epoch on.
        test: Cases to report, looked at once.
        cold_V: bool, items without any interaction in ``train``.
        published_ms_V: int64, when each item became available; the smallest int64 where unknown. An item is a candidate
            only for cases asked at or after that moment.
        hidden_V: bool, items that are never candidates.
        facts: What a report must state: cut-offs, seed, counts.
    """

    name: str
    train: Histories
    valid: Cases
    test: Cases
    cold_V: NDArray[np.bool_]
    published_ms_V: NDArray[np.int64]
    hidden_V: NDArray[np.bool_]
    facts: dict[str, Any]


def leave_one_out(
    histories: Histories,
    *,
    published_ms_V: NDArray[np.int64] | None = None,
    hidden_V: NDArray[np.bool_] | None = None,
) -> Split:
    """Last interaction of each user for the test, the one before for validation, the rest for training.

    The protocol of most published tables. What to keep in mind: users are cut at different moments, so training
    knows events that happened after a question was asked; `temporal` does not. Users with fewer than three interactions
    are trained on and never asked. Within one millisecond the order of the log decides.

    Args:
        histories: U rows, oldest first.
        published_ms_V: When each item became available; None where nothing is known.
        hidden_V: Items that are never candidates; None for none. A case whose target is hidden is dropped.

    Returns:
        Training on ``s[:-2]``, validation cases ``s[:-2] -> s[-2]``, test cases ``s[:-1] -> s[-1]``.

    Raises:
        DataError: No user has three interactions, or a row is not in time order.

    Example:
        >>> split = leave_one_out(Histories.from_lists([[3, 1, 0, 2], [1, 2]], num_items=4))
        >>> split.train.of(0), split.valid.targets.items, split.test.histories.of(0), split.test.targets.items
        (array([3, 1], dtype=int32), array([0], dtype=int32), array([3, 1, 0], dtype=int32), array([2], dtype=int32))
    """
    published, hidden = _availability(histories, published_ms_V, hidden_V)
    users_C = _askable_users(histories, "leave-one-out")
    train, valid, test = _last_two(histories, users_C, hidden)
    return assemble(
        "leave-one-out",
        train=train,
        valid=valid,
        test=test,
        published_ms_V=published,
        hidden_V=hidden,
        facts={
            "cut": "per user: last interaction = test, the one before = validation",
            "users_asked": len(users_C),
            "users_in_training_only": int(((histories.lengths > 0) & (histories.lengths < 3)).sum()),
        },
    )


def temporal(
    histories: Histories,
    *,
    test_from_ms: int | None = None,
    test_share: float = 0.2,
    valid_share: float = 0.1,
    published_ms_V: NDArray[np.int64] | None = None,
    hidden_V: NDArray[np.bool_] | None = None,
    max_cases: int | None = None,
    seed: int = 0,
) -> Split:
    """One cut through the whole log: train < t_valid <= validation < t_test <= test.

    Nothing a model is fitted on happened after any question. Each interaction from the cut on is one case, in the
    order of time; its history is everything of that user strictly before it, earlier events of the test period included
    (the next request of a running service). Events of one user in the same millisecond do not see each other. Users who
    first appear after the cut are cases with an empty history.

    Args:
        histories: U rows, oldest first.
        test_from_ms: First moment of the test period, UTC ms; None takes the last ``test_share`` of interactions.
        test_share: Share of interactions, in (0, 1).
        valid_share: Share of the interactions before the test period, in (0, 1).
        published_ms_V: See `leave_one_out`.
        hidden_V: See `leave_one_out`.
        max_cases: At most so many validation and so many test cases, drawn at random; None keeps all.
        seed: For that draw.

    Returns:
        The split, its cases ordered by (time, user).

    Raises:
        ConfigError: A share is out of range.
        DataError: Nothing is left on one side of a cut, or a row is not in time order.
    """
    published, hidden = _availability(histories, published_ms_V, hidden_V)
    times_N = histories.timestamps_ms
    valid_ms, test_ms = period_starts(
        times_N, test_from_ms=test_from_ms, test_share=test_share, valid_share=valid_share
    )
    places_N = np.arange(len(times_N))
    valid, test = (
        _period(histories, _drawn(places_N[chosen_N], max_cases, generator(seed, name)), hidden)
        for name, chosen_N in (
            ("valid-cases", (times_N >= valid_ms) & (times_N < test_ms)),
            ("test-cases", times_N >= test_ms),
        )
    )
    train_N = np.concatenate([[0], np.cumsum(times_N < valid_ms)])
    num_train_U = train_N[histories.offsets[1:]] - train_N[histories.offsets[:-1]]
    return assemble(
        "temporal",
        train=slices(histories, histories.offsets[:-1], histories.offsets[:-1] + num_train_U),
        valid=valid,
        test=test,
        published_ms_V=published,
        hidden_V=hidden,
        facts={
            "cut": "one moment for all users; the history of a case is everything of the user strictly before it",
            "valid_from": iso_moment(valid_ms),
            "test_from": iso_moment(test_ms),
            "seed": seed,
            "max_cases": max_cases,
            "test_cases_with_empty_history": int((test.histories.lengths == 0).sum()),
        },
    )


def cold(
    histories: Histories,
    *,
    share: float = 0.1,
    seed: int = 0,
    published_ms_V: NDArray[np.int64] | None = None,
    hidden_V: NDArray[np.bool_] | None = None,
) -> Split:
    """Leave-one-out in which a random part of the items has never been watched by anybody.

    The held-out items are taken out of the training histories and out of the histories of validation and test cases:
    otherwise a model would meet the "unwatched" items as input. They stay candidates everywhere, also for the few
    users who had watched them. Test cases whose target is held out are the cold rows of the report, the others the warm
    ones. Validation has warm targets only: choosing a model by its cold cases would make them a training set.

    Args:
        histories: U rows, oldest first.
        share: Part of the items with interactions to hold out, in (0, 1).
        seed: For the draw.
        published_ms_V: See `leave_one_out`.
        hidden_V: See `leave_one_out`.

    Returns:
        The split; ``cold_V`` also holds items that had no interaction to begin with.

    Raises:
        ConfigError: share is out of range.
        DataError: No user has three interactions, or a row is not in time order.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share must be in (0, 1), is {share}")
    published, hidden = _availability(histories, published_ms_V, hidden_V)
    users_C = _askable_users(histories, "cold")
    watched = np.flatnonzero((histories.item_counts() > 0) & ~hidden)
    held_V = np.zeros(histories.num_items, dtype=bool)
    held_V[generator(seed, "cold-items").choice(watched, max(1, round(share * len(watched))), replace=False)] = True
    train, valid, test = _last_two(histories, users_C, hidden)
    train = without_items(train, held_V)
    warm_targets_C = train.item_counts()[valid.targets.items] > 0
    valid = valid.take(np.flatnonzero(warm_targets_C))
    valid, test = (replace(cases, histories=without_items(cases.histories, held_V)) for cases in (valid, test))
    return assemble(
        "cold",
        train=train,
        valid=valid,
        test=test,
        published_ms_V=published,
        hidden_V=hidden,
        facts={
            "cut": "per user: last interaction = test, the one before = validation (warm targets only)",
            "seed": seed,
            "items_held_out": int(held_V.sum()),
            "users_asked": len(users_C),
        },
    )


def blocked_items(
    cases: Cases,
    *,
    published_ms_V: NDArray[np.int64] | None = None,
    hidden_V: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Which items are no candidates, case by case: watched before, not yet published, hidden.

    A target is always a candidate: that it happened proves that it could.

    Args:
        cases: C cases; take a batch, the result has C * V bytes.
        published_ms_V: See `Split`; None where nothing is known.
        hidden_V: See `Split`; None for none.

    Returns:
        bool [C, V].

    Example:
        >>> split = leave_one_out(Histories.from_lists([[3, 1, 0, 2]], num_items=5))
        >>> blocked_items(split.test)
        array([[ True,  True, False,  True, False]])
    """
    blocked_CV = np.zeros((len(cases), cases.histories.num_items), dtype=bool)
    if hidden_V is not None:
        blocked_CV |= hidden_V
    if published_ms_V is not None and len(cases) and published_ms_V.max() > cases.timestamps_ms_C.min():
        blocked_CV |= published_ms_V[None, :] > cases.timestamps_ms_C[:, None]
    rows_C = np.arange(len(cases))
    blocked_CV[np.repeat(rows_C, cases.histories.lengths), cases.histories.items] = True
    blocked_CV[np.repeat(rows_C, cases.targets.lengths), cases.targets.items] = False
    return blocked_CV


def assemble(
    name: str,
    *,
    train: Histories,
    valid: Cases,
    test: Cases,
    published_ms_V: NDArray[np.int64],
    hidden_V: NDArray[np.bool_],
    facts: dict[str, Any],
) -> Split:
    """Count what a report must state and put the parts together; ``facts`` are those that only the protocol knows."""
    cold_V = train.item_counts() == 0
    early_C = published_ms_V[test.targets.items] > test.timestamps_ms_C
    counted = {
        "protocol": name,
        **facts,
        "users": train.num_users,
        "items": train.num_items,
        "train_interactions": len(train.items),
        "train_users": int((train.lengths > 0).sum()),
        "valid_cases": len(valid),
        "test_cases": len(test),
        "test_cases_with_cold_target": int(cold_V[test.targets.items].sum()),
        "test_targets_before_their_publication": int(early_C.sum()),
        "cold_items": int(cold_V.sum()),
        "hidden_items": int(hidden_V.sum()),
        "train_first": iso_moment(int(train.timestamps_ms.min())) if len(train.items) else None,
        "train_last": iso_moment(int(train.timestamps_ms.max())) if len(train.items) else None,
        "test_first": iso_moment(int(test.timestamps_ms_C.min())) if len(test) else None,
        "test_last": iso_moment(int(test.timestamps_ms_C.max())) if len(test) else None,
        "candidates": "the whole catalogue that is published and not hidden at the moment of the case; nothing is sampled",
        "seen_filter": "items of the case's history are removed, the target never",
        "ties": "count against the ranker; what it cannot score comes last",
    }
    return Split(name, train, valid, test, cold_V, published_ms_V, hidden_V, counted)


def _availability(
    histories: Histories, published_ms_V: NDArray[np.int64] | None, hidden_V: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Defaults for items of which nothing is known, after a check that all parts belong together."""
    check_time_order(histories)
    num_items = histories.num_items
    published = np.full(num_items, _ALWAYS) if published_ms_V is None else np.asarray(published_ms_V, dtype=np.int64)
    hidden = np.zeros(num_items, dtype=bool) if hidden_V is None else np.asarray(hidden_V, dtype=bool)
    for name, array in (("published_ms_V", published), ("hidden_V", hidden)):
        if len(array) != num_items:
            raise DataError(f"{name} must have one entry per item, {num_items}, has {len(array)}")
    return published, hidden


def _askable_users(histories: Histories, protocol: str) -> NDArray[np.int64]:
    """Users with enough interactions to train on, to validate and to test."""
    users = np.flatnonzero(histories.lengths >= 3)
    if not len(users):
        raise DataError(
            f"{protocol} must have a user with at least 3 interactions, the longest of {histories.num_users} histories "
            f"has {int(histories.lengths.max(initial=0))}; ingest more events or count more kinds as interactions"
        )
    return users


def _last_two(
    histories: Histories, users_C: NDArray[np.int64], hidden_V: NDArray[np.bool_]
) -> tuple[Histories, Cases, Cases]:
    """Training, validation and test of those who are asked for their last two interactions."""
    starts, stops = histories.offsets[:-1], histories.offsets[1:]
    train_stops_U = stops.copy()
    train_stops_U[users_C] -= 2
    valid, test = (
        _cases(
            histories, users_C, places_C=stops[users_C] - back, history_stops_C=stops[users_C] - back, hidden_V=hidden_V
        )
        for back in (2, 1)
    )
    return slices(histories, starts, train_stops_U), valid, test


def _drawn(places: NDArray[np.int64], max_cases: int | None, random: np.random.Generator) -> NDArray[np.int64]:
    """All places, or as many as are wanted."""
    if max_cases is None or len(places) <= max_cases:
        return places
    return random.choice(places, max_cases, replace=False)


def _period(histories: Histories, places_C: NDArray[np.int64], hidden_V: NDArray[np.bool_]) -> Cases:
    """One case per place of the log, in the order of time."""
    places_C = places_C[np.lexsort((places_C, histories.timestamps_ms[places_C]))]
    owners_N = np.repeat(np.arange(histories.num_users), histories.lengths)
    before_N = tie_starts(histories, owners_N)
    return _cases(
        histories, owners_N[places_C], places_C=places_C, history_stops_C=before_N[places_C], hidden_V=hidden_V
    )


def _cases(
    histories: Histories,
    users_C: NDArray[np.int64],
    *,
    places_C: NDArray[np.int64],
    history_stops_C: NDArray[np.int64],
    hidden_V: NDArray[np.bool_],
) -> Cases:
    """One case per place in the log: its item is the target, the user's log up to the stop is the history."""
    keep = np.flatnonzero(~hidden_V[histories.items[places_C]])
    users_C, places_C, history_stops_C = users_C[keep], places_C[keep], history_stops_C[keep]
    return Cases(
        users_C.astype(np.int32),
        histories.timestamps_ms[places_C],
        slices(histories, histories.offsets[:-1][users_C], history_stops_C),
        slices(histories, places_C, places_C + 1),
    )
