"""`kinema rank`: given candidates of one user, scored by the ranker that is configured, head by head.

Shape suffixes: K candidates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import numpy as np

from kinema.errors import DataError, NotBuiltError
from kinema.ranking.rescoring import Rescoring
from kinema.ranking.scale import on_model_scale
from kinema.recommend.pipeline import wall_clock_ms
from kinema.recommend.scenario import check_scenario
from kinema.sources.whole_tables import read_whole_table
from kinema.steps.slates import SlateMaker

MOST: Final = 10_000


@dataclass(frozen=True)
class RankedItem:
    """One candidate.

    Attributes:
        id: Item id.
        title: Item title.
        position: Place, from 0.
        score: What it is ordered by.
        flm: FLM's score.
        value: What the heads come to, in [0, 1]; None without a ranker.
        heads: Head -> what it says: probabilities, ``watch`` in 0..1 among clips of similar length, ``watch_ms``.
        seen: The user has met it before, so that no slate would have it.
    """

    id: str
    title: str
    position: int
    score: float
    flm: float
    value: float | None
    heads: Mapping[str, float] = field(default_factory=dict)
    seen: bool = False


@dataclass(frozen=True)
class RankedItems:
    """Candidates in order.

    Attributes:
        user: User id.
        ranker: ``flm``, or the name of the second opinion.
        weight: How far that counts against FLM.
        scenario: Whose weights blend the heads.
        items: Best first.
        notice: What a person should know; empty for nothing.
    """

    user: str
    ranker: str
    weight: float
    scenario: str
    items: tuple[RankedItem, ...]
    notice: str = ""


def rank_items(
    maker: SlateMaker,
    user: str,
    item_ids: Sequence[str],
    *,
    ranker: str = "",
    scenario: str = "home",
    now_ms: int | None = None,
) -> RankedItems:
    """Score candidates as the pipeline would; none is left out, and none is moved for variety.

    Args:
        maker: Bound to the project.
        user: User id.
        item_ids: Candidates; one that comes twice counts once.
        ranker: Name of the second opinion, as the settings have it; empty for FLM alone.
        scenario: The placement.
        now_ms: The moment, UTC; None for now.

    Raises:
        DataError: The user or an item is unknown, there is no item or more than 10,000, or no such scenario.
        NotBuiltError: There is no model.
    """
    scorer, catalogue = maker.recommender.parts.scorer, maker.recommender.parts.catalogue
    if scorer is None:
        raise NotBuiltError("candidates are ranked by FLM, there is none yet; run: kinema pretrain")
    check_scenario(scenario, maker.scenarios.placements)
    wanted = list(dict.fromkeys(item_ids))
    if not 1 <= len(wanted) <= MOST:
        raise DataError(f"candidates must be 1 to {MOST:,}, are {len(wanted):,}; give item ids")
    number = _known_user(maker, user)
    items_K = np.array([catalogue.number(one) for one in wanted], dtype=np.int64)
    moment = wall_clock_ms() if now_ms is None else now_ms
    history, profile = maker.people.row(number), maker.people.profile(user)
    profiles = None if profile is None else profile[None]
    logits_V = scorer.score(history, profiles, moments_C=np.array([moment]))[0]
    flm_K, num_blank = on_model_scale(logits_V[items_K], np.zeros(len(items_K)))
    scores_K, heads, value_K = flm_K, {}, None
    if maker.ranking is not None:
        heads = dict(maker.ranking.heads(number, items_K, moment))
        value_K = maker.ranking.value(heads, scenario)
        told_K = value_K
        scores_K = Rescoring(ranker, lambda *_: told_K, maker.ranking.weight).blend(flm_K, items_K, moment)
    seen = set(history.items.tolist())
    order = np.lexsort((items_K, -scores_K)).tolist()
    return RankedItems(
        user,
        "flm" if maker.ranking is None else ranker,
        0.0 if maker.ranking is None else maker.ranking.weight,
        scenario,
        tuple(
            RankedItem(
                id=wanted[place],
                title=catalogue.titles[items_K[place]],
                position=position,
                score=float(scores_K[place]),
                flm=float(flm_K[place]),
                value=None if value_K is None else float(value_K[place]),
                heads={head: float(one[place]) for head, one in heads.items()},
                seen=int(items_K[place]) in seen,
            )
            for position, place in enumerate(order)
        ),
        notice="; ".join(
            one
            for one in (f"{num_blank} of them FLM cannot score: they stand last" if num_blank else "", maker.notice)
            if one
        ),
    )


def candidates_of(items: str | None, table: Path | None, *, column: str = "item") -> list[str]:
    """Ids from a list with commas, or from a column of a table.

    Raises:
        DataError: Both are given or none, the table lacks the column, or a cell is empty.

    Example:
        >>> candidates_of("v1, v2", None)
        ['v1', 'v2']
    """
    if (items is None) == (table is None):
        raise DataError("candidates must come from --items or from --table, exactly one of them; give one")
    if items is not None:
        return [one.strip() for one in items.split(",") if one.strip()]
    assert table is not None
    frame, _ = read_whole_table(table)
    if column not in frame.columns:
        raise DataError(
            f"'{table.name}' must have a column '{column}' of item ids, has {', '.join(frame.columns)}; name it with --column"
        )
    found = frame[column].cast(str).to_list()
    if None in found:
        raise DataError(
            f"column '{column}' of '{table.name}' must have an id in each row, row {found.index(None) + 1} is empty"
        )
    return found


def _known_user(maker: SlateMaker, user: str) -> int:
    number = maker.people.number(user)
    if number is None:
        ids = maker.dataset.users["id"].to_list()
        close = get_close_matches(user, ids, n=3, cutoff=0.6)
        hint = ", did you mean " + ", ".join(f"'{one}'" for one in close) + "?" if close else ";"
        raise DataError(f"unknown user '{user}'{hint} the store has {len(ids):,} users")
    return number
