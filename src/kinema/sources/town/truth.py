"""The right answers: what the generator knows, kept beside the data it generated.

Shape suffixes: C cases (a user at a moment), V clips, U users, T topics, N sessions, K clicks.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import NotBuiltError
from kinema.sources.town.events import Sessions
from kinema.sources.town.rules import MOTIONS, SOUNDS, START_MS, STYLES, TOPICS, Rules
from kinema.sources.town.taste import click_probs, exhibit_probs, freshness, liked_topics, taste
from kinema.sources.town.world import World

ARRAYS: Final = "truth.npz"
FACTS: Final = "truth.json"
_ROWS_AT_ONCE: Final = 1024
_KEY_SPAN_MS: Final = 1 << 40


@dataclass(frozen=True)
class Clicks:
    """Everything that was clicked, in time order.

    Attributes:
        users_K: int64, user numbers.
        items_K: int64, clip numbers.
        times_ms_K: int64.
    """

    users_K: NDArray[np.int64]
    items_K: NDArray[np.int64]
    times_ms_K: NDArray[np.int64]


@dataclass(frozen=True)
class Truth:
    """The town's hidden state, and the probabilities that follow from it.

    Attributes:
        seed: The town's seed.
        rules: Strengths of the planted effects.
        world: Hidden factors and tastes, in the order of `item_ids` and `user_ids`.
        sessions: What each session was about.
        clicks: For the clips that cannot be clicked again.
        item_ids: Clip number -> id.
        user_ids: User number -> id.
        moments_ms_V2: int64 [V, 2], when each clip's moment begins and ends; None where a clip shows what it is about all
            the time.
    """

    seed: int
    rules: Rules
    world: World
    sessions: Sessions
    clicks: Clicks
    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    moments_ms_V2: NDArray[np.int64] | None = None

    @property
    def cutoff_ms(self) -> int:
        """End of the training period, UTC milliseconds."""
        return self.world.cutoff_ms

    @property
    def cold_V(self) -> NDArray[np.bool_]:  # noqa: N802 -- shape suffix
        """Which clips [V] are published after the cut-off."""
        return self.world.cold_V

    def next_click_log_probs(
        self, users_C: NDArray[np.integer], timestamps_ms_C: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Log-probability that each clip is the one that is clicked next.

        Within a session this is the draw of the logging policy times the click, normalised, with the session's topic
        known. Between sessions it is the mean over the topics that the user's next session may be about. It looks at
        the next free place of a slate; that the clips just above in the same slate are out of the draw is left out.

        Args:
            users_C: User numbers of the town.
            timestamps_ms_C: When the question is asked; clicks from that moment on are not known yet.

        Returns:
            float32 [C, V]; -inf for clips that are not published or that the user has clicked before. Rows of ``exp``
            sum to 1.
        """
        cases_users_C, moments_ms_C = np.asarray(users_C, np.int64), np.asarray(timestamps_ms_C, np.int64)
        log_probs_CV = np.empty((len(cases_users_C), self.world.num_clips), dtype=np.float32)
        for start in range(0, len(cases_users_C), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            probs_RV = self._next_click_probs(cases_users_C[rows], moments_ms_C[rows])
            with np.errstate(divide="ignore"):
                log_probs_CV[rows] = np.log(probs_RV)
        return log_probs_CV

    def _next_click_probs(self, users_C: NDArray[np.int64], timestamps_ms_C: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64 [C, V], see `next_click_log_probs`."""
        moments_ms_C, topic_probs_CT = self.session_state(users_C, timestamps_ms_C)
        open_CV = (self.world.published_ms_V <= moments_ms_C[:, None]) & ~self.clicked_before(users_C, timestamps_ms_C)
        fresh_CV = freshness(self.world, self.rules, moments_ms_C)
        total_CV = np.zeros(open_CV.shape)
        for topic in range(len(TOPICS)):
            rows_R = np.flatnonzero((topic_probs_CT[:, topic] > 0) & open_CV.any(axis=1))
            if not len(rows_R):
                continue
            focus_R = np.full(len(rows_R), topic)
            taste_RV = taste(self.world, self.rules, users_C=users_C[rows_R], focus_C=focus_R)
            fresh_RV = fresh_CV[rows_R]
            next_RV = exhibit_probs(
                self.world, self.rules, taste_CV=taste_RV, fresh_CV=fresh_RV, open_CV=open_CV[rows_R]
            ) * click_probs(self.world, self.rules, taste_CV=taste_RV, fresh_CV=fresh_RV)
            total_CV[rows_R] += topic_probs_CT[rows_R, topic, None] * next_RV / next_RV.sum(axis=1, keepdims=True)
        return total_CV

    def session_state(
        self, users_C: NDArray[np.int64], timestamps_ms_C: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The moment that counts for publication and freshness, and the probabilities [C, T] of the session's topic."""
        order_N = np.lexsort((self.sessions.starts_ms_N, self.sessions.users_N))
        keys_N = self.sessions.users_N[order_N] * _KEY_SPAN_MS + self.sessions.starts_ms_N[order_N] - START_MS
        keys_C = users_C * _KEY_SPAN_MS + np.clip(timestamps_ms_C - START_MS, 0, _KEY_SPAN_MS - 1)
        latest_C = order_N[np.maximum(np.searchsorted(keys_N, keys_C, side="right") - 1, 0)]
        inside_C = (
            (self.sessions.users_N[latest_C] == users_C)
            & (self.sessions.starts_ms_N[latest_C] <= timestamps_ms_C)
            & (timestamps_ms_C <= self.sessions.ends_ms_N[latest_C])
        )
        likes_CT = liked_topics(self.world, users_C)
        focus_CT = np.arange(len(TOPICS)) == self.sessions.focus_N[latest_C][:, None]
        topic_probs_CT = np.where(inside_C[:, None], focus_CT, likes_CT / likes_CT.sum(axis=1, keepdims=True))
        moments_ms_C = np.where(inside_C, self.sessions.starts_ms_N[latest_C], timestamps_ms_C)
        return moments_ms_C, topic_probs_CT

    def clicked_before(self, users_C: NDArray[np.int64], timestamps_ms_C: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which clips [C, V] were clicked before the moment."""
        order_K = np.lexsort((self.clicks.times_ms_K, self.clicks.users_K))
        keys_K = self.clicks.users_K[order_K] * _KEY_SPAN_MS + self.clicks.times_ms_K[order_K] - START_MS
        moments_C = np.clip(timestamps_ms_C - START_MS, 0, _KEY_SPAN_MS - 1)
        first_C = np.searchsorted(keys_K, users_C * _KEY_SPAN_MS, side="left")
        count_C = np.searchsorted(keys_K, users_C * _KEY_SPAN_MS + moments_C, side="left") - first_C
        rows_M = np.repeat(np.arange(len(users_C)), count_C)
        within_M = np.arange(len(rows_M)) - np.repeat(np.cumsum(count_C) - count_C, count_C)
        clicked_CV = np.zeros((len(users_C), self.world.num_clips), dtype=bool)
        clicked_CV[rows_M, self.clicks.items_K[order_K][np.repeat(first_C, count_C) + within_M]] = True
        return clicked_CV


def pack_truth(truth: Truth) -> dict[str, bytes]:
    """File name -> content. The JSON file is for people, the arrays are for programs; neither has a time stamp."""
    arrays: dict[str, NDArray[Any]] = {
        "item_ids": np.array(truth.item_ids),
        "user_ids": np.array(truth.user_ids),
    }
    for part in (truth.world, truth.sessions, truth.clicks):
        known = {field.name: getattr(part, field.name) for field in fields(part)}
        arrays |= {name: np.asarray(value) for name, value in known.items() if value is not None}
    if truth.moments_ms_V2 is not None:
        arrays["moments_ms_V2"] = truth.moments_ms_V2
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    world = truth.world
    facts = {
        "seed": truth.seed,
        "start_ms": START_MS,
        "cutoff_ms": world.cutoff_ms,
        "end_ms": world.end_ms,
        "rules": truth.rules.as_dict(),
        "cold_items": [truth.item_ids[i] for i in np.flatnonzero(world.cold_V)],
        "items": {
            item: {
                "topic": TOPICS[world.topics_V[i]],
                "style": STYLES[world.styles_V[i]],
                "motion": MOTIONS[world.motions_V[i]],
                **({} if world.sounds_V is None else {"sound": SOUNDS[world.sounds_V[i]]}),
                **({} if truth.moments_ms_V2 is None else {"moment_ms": truth.moments_ms_V2[i].tolist()}),
            }
            for i, item in enumerate(truth.item_ids)
        },
    }
    return {ARRAYS: stream.getvalue(), FACTS: (json.dumps(facts, indent=1) + "\n").encode()}


def load_truth(folder: Path) -> Truth:
    """Read the right answers of a town.

    Args:
        folder: What `kinema.sources.town.write.generate` has written.

    Returns:
        The truth; its numbers are the town's, see `Truth.item_ids` and `Truth.user_ids`.

    Raises:
        NotBuiltError: There is no town in the folder.
    """
    if not (folder / ARRAYS).is_file() or not (folder / FACTS).is_file():
        raise NotBuiltError(
            f"'{folder.name}' must hold a generated town, {ARRAYS} or {FACTS} is missing; run: kinema town"
        )
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    with np.load(folder / ARRAYS, allow_pickle=False) as stored:
        arrays = dict(stored)
    return Truth(
        seed=facts["seed"],
        rules=Rules(**facts["rules"]),
        world=World(**_part(World, arrays)),
        sessions=Sessions(**_part(Sessions, arrays)),
        clicks=Clicks(**_part(Clicks, arrays)),
        item_ids=tuple(arrays["item_ids"].tolist()),
        user_ids=tuple(arrays["user_ids"].tolist()),
        moments_ms_V2=arrays.get("moments_ms_V2"),
    )


def _part(kind: type[Any], arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The fields of one dataclass; single numbers come out as such."""
    picked = {field.name: arrays[field.name] for field in fields(kind) if field.name in arrays}
    return {name: array if array.ndim else array.item() for name, array in picked.items()}
