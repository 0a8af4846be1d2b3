"""From request to slate: known answers, filters, trace."""

import json
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from small_world import (
    NOW,
    POPULARITY,
    WorldMemory,
    WorldScorer,
    history,
    removed_adds_up,
    world_catalogue,
    world_content,
    world_items,
    world_scorer,
)

from kinema.errors import ConfigError, DataError, StaleArtifactError
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.pipeline import Recommender, wall_clock_ms
from kinema.retrieval.popularity import DAY_MS
from kinema.schema import Item, Request


def recommender(**parts):
    return Recommender(**{"catalogue": world_catalogue(), "scorer": world_scorer(), "diversity": 0.0, **parts})


def ask(num_items=3, **more):
    return Request("u1", **{"num_items": num_items, "timestamp_ms": NOW, **more})


def ids(slate):
    return [item.id for item in slate.items]


def test_the_model_s_order_is_the_slate_s_order_without_diversity():
    slate = recommender().recommend(ask(5), history=history(0))
    logits = world_scorer().score(history(0))[0]
    assert ids(slate) == [f"v{item}" for item in np.argsort(-logits, kind="stable") if item != 0]
    assert [item.score for item in slate.items] == pytest.approx(sorted((float(x) for x in logits[1:]), reverse=True))


def test_places_titles_and_sources_are_filled_in():
    slate = recommender().recommend(ask(5), history=history(0))
    assert [item.position for item in slate.items] == [0, 1, 2, 3, 4]
    by_id = {item.id: item for item in slate.items}
    assert by_id["v4"].title == "News"
    assert "memory" in by_id["v4"].sources
    assert "fresh" in by_id["v5"].sources
    assert by_id["v5"].reason.startswith("new: ")


def test_seen_excluded_hidden_and_unpublished_items_stay_out():
    items = world_items()
    items[1] = replace(items[1], hidden=True)
    items[2] = replace(items[2], published_at=NOW + 1)
    slate = recommender(catalogue=world_catalogue(items)).recommend(
        ask(6, exclude=["v3", "nowhere"]), history=history(0)
    )
    assert sorted(ids(slate)) == ["v4", "v5"]
    first = slate.trace[0]
    assert first.detail["removed"] == {"hidden": 1, "unpublished": 1, "seen": 1, "excluded": 1}
    assert first.detail["unknown_excludes"] == 1
    assert slate.notice == "only 2 of 6 items: of the others 1 hidden, 1 unpublished, 1 seen, 1 excluded"


def test_an_item_published_at_this_very_moment_may_appear():
    items = [replace(item, published_at=NOW) for item in world_items()]
    assert len(recommender(catalogue=world_catalogue(items)).recommend(ask(6)).items) == 6


def test_every_stage_writes_its_row_and_the_counts_add_up():
    slate = recommender().recommend(ask(), history=history(0))
    assert [step.stage for step in slate.trace] == [
        "filter",
        "retrieve:flm",
        "retrieve:memory",
        "retrieve:content",
        "retrieve:popularity",
        "retrieve:fresh",
        "merge",
        "rank",
        "rerank",
        "explain",
    ]
    assert removed_adds_up(slate.trace)
    assert slate.trace[-1].num_out == len(slate.items)
    assert all(step.milliseconds >= 0 for step in slate.trace)


def test_the_trace_says_what_only_one_source_found():
    slate = recommender(num_candidates=1, popularity_V=np.array([0, 0, 0, 5, 0, 4.0])).recommend(
        ask(1), history=history(0)
    )
    merged = next(step for step in slate.trace if step.stage == "merge")
    assert merged.detail["only"] == {"memory": 1, "popularity": 1, "flm": 1, "content": 1}


def test_the_trace_says_what_diversity_lifted_into_the_slate():
    plain = recommender().recommend(ask(2), history=history(0))
    varied = recommender(diversity=0.9).recommend(ask(2), history=history(0))
    step = next(step for step in varied.trace if step.stage == "rerank")
    assert ids(varied)[0] == ids(plain)[0]
    assert step.detail["lifted_in"] == [one for one in ids(varied) if one not in ids(plain)] != []


def test_a_category_takes_no_more_places_than_allowed_while_others_are_left():
    slate = recommender(max_per_category=1).recommend(ask(3), history=history(0))
    assert sorted(ids(slate)[1:]) == ["v3", "v4"]
    assert len(recommender(max_per_category=1).recommend(ask(5), history=history(0)).items) == 5


def test_the_answer_can_be_written_as_json():
    slate = recommender().recommend(ask(5), history=history(0, 3), profile_P=np.ones(6, dtype=np.float32))
    assert json.loads(json.dumps(asdict(slate)))["user"] == "u1"


def test_the_clock_is_asked_only_where_the_request_has_no_time():
    items = [replace(item, published_at=1000) for item in world_items()]
    early = recommender(catalogue=world_catalogue(items), now_ms=lambda: 999)
    assert early.recommend(Request("u1")).items == ()
    assert len(early.recommend(Request("u1", timestamp_ms=1000)).items) == 6


def test_the_wall_clock_counts_milliseconds():
    assert 1_700_000_000_000 < wall_clock_ms() < 10_000_000_000_000


def test_no_fresh_days_means_no_item_is_new():
    slate = recommender(fresh_days=0).recommend(ask(6))
    assert not any(item.reason.startswith("new") for item in slate.items)


def test_content_given_beside_a_model_wins():
    content = {"text": np.zeros((6, 2), dtype=np.float32)}
    slate = recommender(content=content).recommend(ask(5), history=history(0))
    assert not any(item.evidence["kind"] == "content" for item in slate.items)


def test_a_model_for_another_catalogue_is_stale():
    with pytest.raises(StaleArtifactError, match=r"one row per item of the catalogue \(5\), got 6; bind the model"):
        recommender(catalogue=world_catalogue(world_items()[:5]))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.ones(5), r"one number per item of the catalogue \(6\), got 5"),
        (np.array([1, 1, np.nan, 1, 1, 1]), "finite and >= 0, got nan at item number 2"),
        (np.array([1, -2.0, 1, 1, 1, 1]), "finite and >= 0, got -2.0 at item number 1"),
    ],
)
def test_popularity_that_cannot_be_is_refused(counts, message):
    with pytest.raises(DataError, match=message):
        recommender(popularity_V=counts)


def test_settings_and_requests_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="diversity must be in"):
        recommender(diversity=2.0)
    with pytest.raises(DataError, match=r"num_items must be a whole number in 1..1000, got 0"):
        recommender().recommend(ask(0))
    with pytest.raises(DataError, match=r"item numbers of a history must be in 0..5, got 6"):
        recommender().recommend(ask(), history=history(6, num_items=7))


def test_a_thousand_places_of_a_larger_catalogue_come_back():
    rng = np.random.default_rng(0)
    size = 3000
    items = [replace(world_items()[0], id=f"i{n}", title="", published_at=n * DAY_MS) for n in range(size)]
    content = {"text": rng.normal(size=(size, 8)).astype(np.float32)}
    big = Recommender(catalogue=world_catalogue(items), content=content, popularity_V=rng.random(size))
    slate = big.recommend(Request("u1", num_items=1000, timestamp_ms=size * DAY_MS), history=history(5, num_items=size))
    assert len({item.id for item in slate.items}) == 1000
    assert removed_adds_up(slate.trace)


def newcomer_world(size=400, fit=3):
    """Items on a half circle in the order of their distance to item 0; the new one lies between two of them."""
    angles = np.append(np.linspace(0, np.pi, size), np.pi * (fit + 0.5) / size)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    items = [Item(f"v{number}", published_at=DAY_MS) for number in range(size)]
    catalogue = Catalogue.of([*items, Item("new", published_at=NOW - DAY_MS)])
    popularity = np.append(np.full(size, 10.0), 0.0)
    scorer = WorldScorer(vectors, {"text": vectors}, popularity, WorldMemory(np.zeros((size + 1, size + 1))))
    return catalogue, scorer


@pytest.mark.parametrize(("fit", "share", "place"), [(30, 0.1, 9), (30, 0.0, None), (80, 0.1, None), (2, 0.1, 2)])
def test_a_new_item_has_a_place_in_the_slates_of_users_it_fits(fit, share, place):
    catalogue, scorer = newcomer_world(fit=fit)
    made = Recommender(catalogue=catalogue, scorer=scorer, diversity=0.0, fresh_share=share)
    slate = made.recommend(ask(10), history=history(0, num_items=401))
    assert [item.position for item in slate.items if item.id == "new"] == ([] if place is None else [place])
    assert [one for one in ids(slate) if one != "new"] == [
        f"v{number}" for number in range(1, 11 - (place is not None))
    ]
    step = next(one for one in slate.trace if one.stage == "rerank")
    assert step.detail["let_in_new"] == (["new"] if place == 9 else [])


def test_the_popularity_of_the_model_serves_where_none_is_given():
    assert recommender().parts.popularity_V.tolist() == POPULARITY.tolist()
    assert set(recommender().parts.content) == set(world_content())


def test_the_request_path_never_loads_torch():
    code = "import sys, kinema.recommend.pipeline; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_reasons_the_slate_is_the_same():
    asked = {"history": history(0), "profile_P": np.ones(6, dtype=np.float32)}
    told, silent = (recommender().recommend(ask(5), reasons=wanted, **asked) for wanted in (True, False))
    assert [replace(item, reason="", evidence={}) for item in told.items] == list(silent.items)
    assert all(item.reason for item in told.items)
