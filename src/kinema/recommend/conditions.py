"""Conditions of a scenario, answered over the whole catalogue.

What does not depend on the moment of the request is asked of the catalogue once; see `kinema.recommend.facets`.

Shape suffixes: V items.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from kinema.errors import did_you_mean
from kinema.recommend.catalogue import UNKNOWN_DATE, Catalogue
from kinema.recommend.facets import UNREADABLE, Words
from kinema.recommend.scenario import CATEGORY, Condition, Scenario
from kinema.retrieval.popularity import DAY_MS


def failures(condition: Condition, catalogue: Catalogue, now_ms: int) -> dict[str, NDArray[np.bool_]]:
    """What is said -> bool [V], the items of which it does not hold; only what is said.

    Args:
        condition: Which items are meant.
        catalogue: All items.
        now_ms: The moment of the request, UTC.
    """
    facets = catalogue.facets
    found: dict[str, NDArray[np.bool_]] = {}
    for reason, words, names, wanted in (
        ("of another category", "categories", condition.categories, True),
        ("of a category left out", "categories", condition.not_categories, False),
        ("without such a tag", "tags", condition.tags, True),
        ("with a tag left out", "tags", condition.not_tags, False),
        ("in another language", "languages", condition.languages, True),
    ):
        if names:
            has_V = facets.having(cast("Words", words), names)
            found[reason] = ~has_V if wanted else has_V
    since_ms = {"published before": condition.published_since_ms}
    if condition.max_age_days is not None:
        since_ms["too old"] = now_ms - int(condition.max_age_days * DAY_MS)
    for reason, moment in since_ms.items():
        if moment is not None:
            found[reason] = catalogue.published_ms_V < max(moment, UNKNOWN_DATE + 1)
    if condition.min_duration_ms is not None or condition.max_duration_ms is not None:
        found["of another length"] = ~facets.lasting(condition.min_duration_ms, condition.max_duration_ms)
    for name, values in condition.attributes:
        found[f"of another {name}"] = ~facets.equal(name, values)
    if condition.available_until:
        found["no longer available"] = facets.ends_ms(condition.available_until) < now_ms
    return found


def epoch(condition: Condition | None, catalogue: Catalogue, now_ms: int) -> tuple[int, ...]:
    """Numbers that change exactly when the passing of time changes what `failures` says, or what is published."""
    facets = catalogue.facets
    dates = facets.keep("dates", lambda: np.sort(catalogue.published_ms_V))
    found = [int(np.searchsorted(dates, now_ms, side="right"))]
    if condition is not None and condition.max_age_days is not None:
        found.append(int(np.searchsorted(dates, now_ms - int(condition.max_age_days * DAY_MS), side="left")))
    if condition is not None and condition.available_until:
        name = condition.available_until
        ends = facets.keep(("ends in order", name), lambda: np.sort(facets.ends_ms(name)))
        found.append(int(np.searchsorted(ends, now_ms, side="left")))
    return tuple(found)


def matching(condition: Condition, catalogue: Catalogue, now_ms: int) -> NDArray[np.bool_]:
    """Bool [V], the items that are meant.

    Example:
        >>> from kinema.schema import Item
        >>> catalogue = Catalogue.of([Item("v1", tags=("sea",)), Item("v2")])
        >>> matching(Condition(tags=("Sea",)), catalogue, 0).tolist()
        [True, False]
    """
    mask_V = np.ones(len(catalogue), dtype=np.bool_)
    for fails_V in failures(condition, catalogue, now_ms).values():
        mask_V &= ~fails_V
    return mask_V


def scenario_warnings(scenario: Scenario, catalogue: Catalogue) -> list[str]:
    """What a scenario names that the catalogue does not have. It may come, so that is no error.

    Example:
        >>> from kinema.schema import Item
        >>> catalogue = Catalogue.of([Item("v1", categories=("news",))])
        >>> scenario_warnings(Scenario("home", filter=Condition(categories=("nws",))), catalogue)
        ["scenario 'home' names category 'nws', no item has it, did you mean 'news'?"]
    """
    facets, found = catalogue.facets, []
    if not len(catalogue):
        return []
    for condition in scenario.conditions:
        named: tuple[tuple[str, Words, tuple[str, ...]], ...] = (
            ("category", "categories", (*condition.categories, *condition.not_categories)),
            ("tag", "tags", (*condition.tags, *condition.not_tags)),
            ("language", "languages", condition.languages),
        )
        for noun, words, names in named:
            unknown = [name for name in names if not facets.having(words, (name,)).any()]
            found += [f"names {noun} '{name}', no item has it" + _hint(name, facets.known(words)) for name in unknown]
        for name, _ in condition.attributes:
            found += [] if _has(catalogue, name) else [f"names attribute '{name}', no item has it"]
        if condition.available_until:
            num = int((facets.ends_ms(condition.available_until) == UNREADABLE).sum())
            found += [f"cannot read '{condition.available_until}' of {num} items, they are not shown"] if num else []
    for name in scenario.caps:
        found += [] if name == CATEGORY or _has(catalogue, name) else [f"caps '{name}', no item has that attribute"]
    found += [f"pins '{one}', no such item" for one in scenario.pins.values() if one not in catalogue.numbers]
    return [f"scenario '{scenario.name}' {one}" for one in dict.fromkeys(found)]


def _hint(name: str, known: list[str]) -> str:
    return did_you_mean(name.casefold(), known).removesuffix(";")


def _has(catalogue: Catalogue, attribute: str) -> bool:
    return bool((catalogue.facets.groups(attribute) >= 0).any())
