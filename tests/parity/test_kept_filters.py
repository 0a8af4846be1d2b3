"""What is kept of the filters says what going through the catalogue says, whoever asks and whenever."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.conditions import failures
from kinema.recommend.filters import eligible
from kinema.recommend.scenario import Condition
from kinema.retrieval.popularity import DAY_MS
from kinema.schema import Item

CONDITIONS = st.builds(
    Condition,
    categories=st.sampled_from([(), ("a",), ("a", "b")]),
    not_tags=st.sampled_from([(), ("x",)]),
    max_age_days=st.sampled_from([None, 1.0, 2.0]),
    available_until=st.sampled_from(["", "until"]),
)
ITEMS = st.lists(
    st.builds(
        lambda number, categories, tags, day, until, hidden: Item(
            f"v{number}",
            categories=categories,
            tags=tags,
            published_at=None if day is None else day * DAY_MS,
            attributes={} if until is None else {"until": until * DAY_MS},
            hidden=hidden,
        ),
        st.integers(0, 9),
        st.sampled_from([(), ("a",), ("b",)]),
        st.sampled_from([(), ("x",)]),
        st.sampled_from([None, 0, 1, 2, 3]),
        st.sampled_from([None, 1, 3]),
        st.booleans(),
    ),
    min_size=1,
    max_size=9,
)
NUMBERS = st.lists(st.integers(0, 8), max_size=4)


def plain(catalogue, now_ms, seen, excluded, condition):
    """Reason after reason, each a pass over the catalogue."""
    masks = [np.isin(np.arange(len(catalogue)), one) for one in (seen, excluded)]
    rules = {
        "hidden": catalogue.hidden_V,
        "unpublished": catalogue.published_ms_V > now_ms,
        "seen": masks[0],
        "excluded": masks[1],
        **({} if condition is None else failures(condition, catalogue, now_ms)),
    }
    left, removed = np.ones(len(catalogue), dtype=bool), {}
    for reason, hit in rules.items():
        removed[reason] = int((hit & left).sum())
        left &= ~hit
    return left.tolist(), list(removed.items())


@settings(max_examples=150, deadline=None)
@given(ITEMS, st.lists(st.tuples(st.integers(0, 4), NUMBERS, NUMBERS, st.none() | CONDITIONS), max_size=6), st.data())
def test_filters_that_are_kept_equal_filters_that_are_applied(rows, asked, data):
    catalogue = Catalogue.of(rows)
    for day, seen, excluded, condition in asked:
        now_ms = day * DAY_MS
        numbers = [np.array([one for one in wanted if one < len(rows)], dtype=int) for wanted in (seen, excluded)]
        found = eligible(catalogue, now_ms=now_ms, seen=numbers[0], excluded=numbers[1], condition=condition)
        assert (found.allowed_V.tolist(), list(found.removed.items())) == plain(catalogue, now_ms, *numbers, condition)
        assert found.num == sum(found.allowed_V)
        catalogue.hidden_V[data.draw(st.integers(0, len(rows) - 1))] ^= True


def test_what_is_kept_of_the_filters_has_a_bound():
    catalogue = Catalogue.of([Item("v0", categories=("a",))])
    for day in range(40):
        wanted = Condition(categories=(f"c{day}",))
        assert not eligible(catalogue, now_ms=0, seen=np.empty(0, int), excluded=np.empty(0, int), condition=wanted).num
    assert len(catalogue.facets.keep("standing", dict)._found) == 16
