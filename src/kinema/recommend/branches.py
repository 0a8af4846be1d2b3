"""One side of the model answers alone: what it knows of a user, without what the others know.

Nothing is retrieved and nothing re-ranked: the slate is the top of the branch's own order of everything that may appear.

Shape suffixes: V items, P profile columns, K items of the slate.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError, NotBuiltError
from kinema.notices import Notice, in_words
from kinema.recommend.coldstart import Footing, footing_of
from kinema.recommend.fallback import length_notices
from kinema.recommend.model import Scorer
from kinema.recommend.parts import Parts
from kinema.recommend.stages import Ranked, explain, filter_items
from kinema.recommend.trace import Trace
from kinema.retrieval.merge import Proposed
from kinema.retrieval.query import Query
from kinema.schema import Branch, Request, Slate
from kinema.store.histories import Histories

NEEDS_HISTORY: Final[tuple[Branch, ...]] = ("content", "collaborative", "memory")


def answer_alone(
    parts: Parts,
    request: Request,
    branch: Branch,
    *,
    history: Histories,
    profile_P: NDArray[np.float32] | None,
    now_ms: int,
) -> Slate:
    """The items that one branch puts first.

    Args:
        parts: Of the recommender.
        request: Who asks, how many items, what to leave out.
        branch: Which side of the model answers.
        history: The user's interactions, one row; empty where there are none.
        profile_P: The user's profile, finite; None for none.
        now_ms: The moment of the request.

    Returns:
        At most ``request.num_items`` items with the branch's logits as scores; equal ones by item number.

    Raises:
        NotBuiltError: There is no model.
        DataError: The model has not learnt that branch, or it reads histories and there is none.
    """
    scorer = _able(parts.scorer, branch, request.user, history)
    trace = Trace()
    left = filter_items(
        parts.catalogue,
        seen=history.items,
        exclude=request.exclude,
        now_ms=now_ms,
        trace=trace,
        scenario=request.scenario,
    )
    profiles_CP = None if profile_P is None else profile_P[None]
    logits_V = scorer.score(history, profiles_CP, branch=branch, moments_C=np.array([now_ms]))[0]
    allowed = np.flatnonzero(left.allowed_V)
    items_K = allowed[np.argsort(-logits_V[allowed], kind="stable")[: request.num_items]]
    trace.step(
        "rank", left.num, len(items_K), by=f"branch {branch}", removed={"below the slate": left.num - len(items_K)}
    )
    scores_K = logits_V[items_K].astype(np.float64)
    ranked = Ranked(items_K, scores_K, scores_K, Proposed.by(len(items_K), branch), logits_V.__getitem__)
    footing = footing_of(history, profile_P)
    query = Query(history, left.allowed_V, now_ms, None, profile_P)
    items = explain(parts, ranked, query, footing=footing, trace=trace)
    lonely = Notice("user_new", f"user '{request.user}' has no interactions", {"user": request.user})
    notices = (
        Notice("branch_alone", f"the {branch} branch alone", {"branch": branch}),
        *(() if footing is Footing.HISTORY else (lonely,)),
        *length_notices(found=len(items), wanted=request.num_items, removed=left.removed),
    )
    return Slate(request.user, items, trace.steps, in_words(notices), notices)


def _able(scorer: Scorer | None, branch: Branch, user: str, history: Histories) -> Scorer:
    if scorer is None:
        raise NotBuiltError(f"the {branch} branch needs a model, there is none; run: kinema pretrain")
    if branch not in scorer.branches:
        raise DataError(f"the model has no branch '{branch}'; it has: {', '.join(scorer.branches)}")
    if branch in NEEDS_HISTORY and not len(history.items):
        raise DataError(
            f"the {branch} branch needs an interaction of user '{user}', there is none; ask without a branch"
        )
    return scorer
