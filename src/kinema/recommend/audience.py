"""Who should see an item: the question of whoever publishes one.

Shape suffixes: U users, V items, D width, K users of the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError, NotBuiltError
from kinema.notices import Notice, in_words
from kinema.recommend.checks import check_items
from kinema.recommend.explain import Reason
from kinema.recommend.fallback import length_notices
from kinema.recommend.model import Scorer
from kinema.recommend.parts import Parts
from kinema.recommend.trace import Trace
from kinema.retrieval.top import top
from kinema.schema import TraceStep
from kinema.store.histories import Histories

POOL: Final = 1000
LOOKED_AT: Final = 40
"""Users that the whole model looks at for each one that is asked for, 200 at least and `POOL` at most unless more are asked for:
scoring a user means scoring the whole catalogue for comparison."""
_FEWEST: Final = 200

USERS_AT_ONCE: Final = 128

PREFERENCE_WEIGHT: Final = 0.125
"""Worth of one standard deviation of preference in cosine. Together they find more of the true viewers of an item than
either alone, of items that nobody has watched and of others."""


@dataclass(frozen=True)
class AudienceMember:
    """One user of an audience.

    Attributes:
        user: User id.
        position: Place, from 0.
        score: Comparable within one audience only.
        reason: Why this user, in plain words.
        evidence: What the reason rests on, as in `SlateItem`.
    """

    user: str
    position: int
    score: float
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Audience:
    """The users an item suits most.

    Attributes:
        item: Item id.
        title: Item title.
        members: Most interested first.
        trace: One step per stage, counting users.
        notice: Why the answer is weaker than usual; empty when it is not.
        notices: The same, one by one.
    """

    item: str
    title: str
    members: tuple[AudienceMember, ...]
    trace: tuple[TraceStep, ...] = ()
    notice: str = ""
    notices: tuple[Notice, ...] = ()


def find_audience(
    parts: Parts,
    *,
    item: str,
    num_users: int,
    user_ids: Sequence[str],
    histories: Histories,
    profiles_UP: NDArray[np.float32] | None,
    user_vectors_UD: NDArray[np.float32] | None,
    now_ms: int,
) -> Audience:
    """The most interested users; see `Recommender.audience`.

    Raises:
        DataError: The item is unknown, or the users do not fit together.
        NotBuiltError: There is neither a model nor content to compare with.
    """
    trace = Trace()
    number = parts.catalogue.number(item)
    _check_users(len(parts.catalogue), user_ids, histories, profiles_UP, user_vectors_UD)
    seen_U = np.zeros(histories.num_users, dtype=np.bool_)
    seen_U[np.repeat(np.arange(histories.num_users), histories.lengths)[histories.items == number]] = True
    blank_U = histories.lengths == 0
    if profiles_UP is not None:
        blank_U &= ~profiles_UP.any(axis=1)
    allowed_U = ~seen_U & ~blank_U
    removed = {"seen": int(seen_U.sum()), "unknown": int((blank_U & ~seen_U).sum())}
    trace.step("filter", len(seen_U), int(allowed_U.sum()), removed=removed)
    near_U, likeness_U, by = _nearness(parts, number, histories, profiles_UP, user_vectors_UD)
    pool_size = max(min(POOL, max(_FEWEST, LOOKED_AT * num_users)), 2 * num_users)
    pool_K = top(near_U, pool_size, allowed_U)
    num_left = int(allowed_U.sum())
    trace.step("retrieve", num_left, len(pool_K), removed={"far from the item": num_left - len(pool_K)}, by=by)
    scores_U = near_U
    if parts.scorer is not None:
        scores_U = np.full(len(near_U), -np.inf, dtype=np.float32)
        profiles_KP = None if profiles_UP is None else profiles_UP[pool_K]
        preference_K = preferences(parts.scorer, number, histories.take(pool_K), profiles_KP)
        scores_U[pool_K] = PREFERENCE_WEIGHT * preference_K + likeness_U[pool_K]
        by = "model+content"
    users_K = top(scores_U, num_users, allowed_U)
    trace.step("rank", len(pool_K), len(users_K), removed={"below the cut": len(pool_K) - len(users_K)}, by=by)
    members = tuple(
        AudienceMember(user_ids[user], position, float(scores_U[user]), reason.text, reason.evidence)
        for position, user in enumerate(users_K.tolist())
        for reason in [_reason(parts, number, histories.take([user]), now_ms)]
    )
    trace.step("explain", len(members), len(members))
    notices = (
        *_item_notices(parts, number, now_ms),
        *parts.notices,
        *length_notices(found=len(members), wanted=num_users, removed=removed, noun="users"),
    )
    return Audience(item, parts.catalogue.titles[number], members, trace.steps, in_words(notices), notices)


def preferences(
    scorer: Scorer, number: int, histories: Histories, profiles_KP: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """How far an item lies above the rest of the catalogue for each user.

    The logits of two users cannot be compared: a user whose items all score high would be in every audience.

    Args:
        scorer: The model.
        number: Item number.
        histories: K users.
        profiles_KP: Their profiles; None without.

    Returns:
        float32 [K], z-score of the item's logit among the user's logits; 0 where they are not finite.
    """
    found = []
    for start in range(0, histories.num_users, USERS_AT_ONCE):
        rows = np.arange(start, min(start + USERS_AT_ONCE, histories.num_users))
        logits_BV = scorer.score(histories.take(rows), None if profiles_KP is None else profiles_KP[rows])
        deviation_B = np.maximum(logits_BV.std(axis=1), 1e-6)
        found.append((logits_BV[:, number] - logits_BV.mean(axis=1)) / deviation_B)
    preference_K = np.concatenate(found) if found else np.empty(0, dtype=np.float32)
    return np.where(np.isfinite(preference_K), preference_K, 0.0).astype(np.float32)


def _nearness(
    parts: Parts,
    number: int,
    histories: Histories,
    profiles_UP: NDArray[np.float32] | None,
    user_vectors_UD: NDArray[np.float32] | None,
) -> tuple[NDArray[np.float32], NDArray[np.float32], str]:
    """Mean of the model's and the content's cosine of every user, the content's alone, and what they rest on.

    Content looks at the watched item that is nearest. For an item that nobody has watched this finds its users better
    than the model's user vector does, and for other items the mean of both is the better one. A user without history
    is as near as the average user.
    """
    near: dict[str, NDArray[np.float32]] = {}
    likeness_U = np.zeros(histories.num_users, dtype=np.float32)
    if parts.joint_VD is not None and parts.joint_VD[number].any():
        active_U = histories.lengths > 0
        if active_U.any():
            cosines_V = parts.joint_VD @ parts.joint_VD[number]
            nearest_A = np.maximum.reduceat(cosines_V[histories.items], histories.offsets[:-1][active_U])
            likeness_U[:] = nearest_A.mean()
            likeness_U[active_U] = nearest_A
        near["content"] = likeness_U
    if parts.scorer is not None and parts.item_vectors_VD is not None and parts.item_vectors_VD[number].any():
        vectors_UD = parts.scorer.encode(histories, profiles_UP) if user_vectors_UD is None else user_vectors_UD
        near["flm"] = vectors_UD @ parts.item_vectors_VD[number]
    if not near:
        raise NotBuiltError(
            f"the audience of item '{parts.catalogue.ids[number]}' needs its content or a model that knows "
            "it, there is neither; run: kinema extract, then: kinema pretrain"
        )
    return np.mean(list(near.values()), axis=0, dtype=np.float32), likeness_U, "+".join(near)


def _reason(parts: Parts, number: int, history: Histories, now_ms: int) -> Reason:
    """What in the history of one user speaks for the item; popularity says nothing about a user and is left out."""
    return parts.explainer.reasons(
        np.array([number]),
        history=history,
        now_ms=now_ms,
        watched=", which they watched",
        about_item=False,
        otherwise="suits this user as a whole, no single video stands out",
    )[0]


def _item_notices(parts: Parts, number: int, now_ms: int) -> list[Notice]:
    if parts.catalogue.hidden_V[number]:
        return [Notice("item_hidden", "the item is hidden: nobody is shown it yet")]
    if parts.catalogue.published_ms_V[number] > now_ms:
        return [Notice("item_unpublished", "the item is not published yet")]
    return []


def _check_users(
    num_items: int,
    user_ids: Sequence[str],
    histories: Histories,
    profiles_UP: NDArray[np.float32] | None,
    user_vectors_UD: NDArray[np.float32] | None,
) -> None:
    rows = {"user_ids": user_ids, "profiles_UP": profiles_UP, "user_vectors_UD": user_vectors_UD}
    for name, given in rows.items():
        if given is not None and len(given) != histories.num_users:
            raise DataError(
                f"{name} must have one row per history ({histories.num_users}), got {len(given)}; "
                "take all of them from the same store version"
            )
    check_items(histories.items, num_items)
