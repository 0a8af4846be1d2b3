"""What holds for every slate, whatever the catalogue, the parts, the history and the request."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_world import WorldMemory, WorldScorer, removed_adds_up

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.pipeline import Recommender
from kinema.retrieval.content import unit_rows
from kinema.schema import Item, Request
from kinema.store.histories import Histories

NOW = 1000


@st.composite
def situations(draw):
    """A recommender with random parts, a user's history or none, and a request."""
    size = draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    published = draw(st.lists(st.sampled_from([None, 0, 999, 1000, 1001]), min_size=size, max_size=size))
    hidden = draw(st.lists(st.booleans(), min_size=size, max_size=size)) if draw(st.booleans()) else [False] * size
    items = [
        Item(
            f"i{n}", categories=(("a", "b", "c")[n % 3],) if n % 4 else (), published_at=published[n], hidden=hidden[n]
        )
        for n in range(size)
    ]
    content = {"text": unit_rows(rng.integers(-1, 2, size=(size, 3)).astype(np.float32))}
    popularity = rng.integers(0, 4, size=size).astype(np.float64)
    counts = rng.integers(0, 2, size=(size, size)).astype(np.float64)
    scorer = None
    if draw(st.booleans()):
        vectors = rng.integers(-1, 2, size=(size, 3)).astype(np.float32)
        if draw(st.booleans()):
            vectors[0] = np.nan
        scorer = WorldScorer(vectors, content, popularity.astype(np.float32), WorldMemory(counts))
    recommender = Recommender(
        catalogue=Catalogue.of(items),
        scorer=scorer,
        content=content if draw(st.booleans()) else None,
        popularity_V=popularity if draw(st.booleans()) else None,
        num_candidates=draw(st.integers(1, 5)),
        diversity=draw(st.sampled_from([0.0, 0.1, 1.0])),
        max_per_category=draw(st.sampled_from([None, 1, 3])),
    )
    seen = draw(st.none() | st.lists(st.integers(0, size - 1), unique=True))
    exclude = draw(st.lists(st.integers(0, size + 2).map(lambda n: f"i{n}"), max_size=5))
    request = Request("u", num_items=draw(st.integers(1, 30)), exclude=exclude, timestamp_ms=NOW)
    history = None if seen is None else Histories.from_lists([seen], size)
    profile = draw(st.none() | st.just(np.float32([1.0, -1.0, 0.0])))
    return recommender, items, seen or [], request, history, profile


@settings(max_examples=150, deadline=None)
@given(situations())
def test_a_slate_holds_exactly_as_many_eligible_items_as_it_can_and_never_one_twice(situation):
    recommender, items, seen, request, history, profile = situation
    slate = recommender.recommend(request, history=history, profile_P=profile)
    eligible = {
        item.id
        for number, item in enumerate(items)
        if not item.hidden
        and (item.published_at is None or item.published_at <= NOW)
        and number not in seen
        and item.id not in request.exclude
    }
    shown = [item.id for item in slate.items]
    assert set(shown) <= eligible
    assert len(shown) == len(set(shown)) == min(request.num_items, len(eligible))
    assert [item.position for item in slate.items] == list(range(len(shown)))
    assert all(np.isfinite(item.score) and item.reason and item.sources for item in slate.items)
    assert not shown or slate.items[0].score == max(item.score for item in slate.items)
    assert (len(shown) < request.num_items) == (f"only {len(shown)} of {request.num_items} items" in slate.notice)


@settings(max_examples=60, deadline=None)
@given(situations())
def test_the_counts_of_every_stage_add_up(situation):
    recommender, items, _, request, history, profile = situation
    trace = recommender.recommend(request, history=history, profile_P=profile).trace
    assert removed_adds_up(trace)
    by_stage = {step.stage: step for step in trace}
    retrieved = [step for step in trace if step.stage.startswith("retrieve:")]
    assert by_stage["filter"].num_in == len(items)
    assert all(step.num_in == by_stage["filter"].num_out for step in retrieved)
    assert by_stage["merge"].num_in == sum(step.num_out for step in retrieved)
    assert by_stage["merge"].num_out == by_stage["rank"].num_in == by_stage["rerank"].num_in
    assert by_stage["rerank"].num_out == by_stage["explain"].num_in


@settings(max_examples=40, deadline=None)
@given(situations())
def test_the_same_request_gives_the_same_slate(situation):
    recommender, _, _, request, history, profile = situation
    first = recommender.recommend(request, history=history, profile_P=profile)
    again = recommender.recommend(request, history=history, profile_P=profile)
    assert (first.items, first.notice) == (again.items, again.notice)
