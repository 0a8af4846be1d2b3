"""One side of the model alone: its own order of what may appear, and plain words where it cannot answer."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from small_world import NOW, history, removed_adds_up, world_catalogue, world_scorer

from kinema.cli.main import main
from kinema.errors import DataError, NotBuiltError
from kinema.project import Project
from kinema.recommend.pipeline import Recommender
from kinema.schema import Request


class BranchedScorer:
    """The scorer of the small world with an order of its own for each side."""

    branches = ("sequential", "content", "memory")

    def __init__(self):
        self.inner = world_scorer()
        self.asked = []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def score(self, histories, profiles_CP=None, *, branch="fused", moments_C=None):
        self.asked.append((branch, None if profiles_CP is None else profiles_CP.shape, moments_C.tolist()))
        orders = {"sequential": [0, 1, 2, 3, 4, 5], "content": [5, 4, 3, 3, 1, 0], "memory": [0, 0, 0, 0, 9, 0]}
        return np.tile(np.array(orders[branch], dtype=np.float32), (histories.num_users, 1))


def recommender(scorer=None):
    return Recommender(catalogue=world_catalogue(), scorer=scorer, now_ms=lambda: NOW)


def test_a_branch_answers_with_its_own_order_and_ties_go_to_the_lower_number():
    scorer = BranchedScorer()
    slate = recommender(scorer).recommend_alone(Request("u", num_items=4), "content", history=history(0))
    assert [item.id for item in slate.items] == ["v1", "v2", "v3", "v4"]
    assert [item.score for item in slate.items] == [4, 3, 3, 1]
    assert {item.sources for item in slate.items} == {("content",)}
    assert slate.notice == "the content branch alone"
    assert [step.stage for step in slate.trace] == ["filter", "rank", "explain"]
    assert removed_adds_up(slate.trace)
    assert scorer.asked == [("content", None, [NOW])]


def test_what_was_seen_excluded_or_asked_beyond_the_catalogue_is_left_out_and_told():
    request = Request("u", num_items=9, exclude=("v5",))
    slate = recommender(BranchedScorer()).recommend_alone(request, "sequential", history=history(4, 3))
    assert [item.id for item in slate.items] == ["v2", "v1", "v0"]
    assert slate.notice.endswith("only 3 of 9 items: of the others 2 seen, 1 excluded")


def test_the_sequential_branch_answers_a_profile_and_nobody():
    scorer = BranchedScorer()
    profile = np.ones(3, dtype=np.float32)
    made = recommender(scorer)
    slate = made.recommend_alone(Request("u9", num_items=2, timestamp_ms=NOW + 5), "sequential", profile_P=profile)
    assert "user 'u9' has no interactions" in slate.notice
    assert len(made.recommend_alone(Request("nobody", num_items=2), "sequential").items) == 2
    broken = np.array([np.nan, 0, 0], dtype=np.float32)
    made.recommend_alone(Request("u9", num_items=2), "sequential", profile_P=broken)
    assert scorer.asked == [("sequential", (1, 3), [NOW + 5]), *[("sequential", None, [NOW])] * 2]


def test_what_cannot_be_asked_alone_is_refused_with_what_can():
    request = Request("u9")
    with pytest.raises(NotBuiltError, match="the content branch needs a model, there is none; run: kinema pretrain"):
        recommender().recommend_alone(request, "content", history=history(0))
    with pytest.raises(DataError, match="no branch 'collaborative'; it has: sequential, content, memory"):
        recommender(BranchedScorer()).recommend_alone(request, "collaborative", history=history(0))
    with pytest.raises(DataError, match="memory branch needs an interaction of user 'u9', there is none; ask without"):
        recommender(BranchedScorer()).recommend_alone(request, "memory", history=history())


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    pytest.importorskip("torch")
    tmp_path = tmp_path_factory.mktemp("branches")
    items = [f"v{n}" for n in range(12)]
    pl.DataFrame({"id": items, "title": items}).write_csv(tmp_path / "items.csv")
    rows = [(f"u{u}", f"v{(u + k) % 12}", 1000 * k + 1) for u in range(12) for k in range(4)]
    pl.DataFrame(rows, schema=["user", "item", "timestamp_ms"], orient="row").write_csv(tmp_path / "events.csv")
    shop = tmp_path / "shop"
    with Project.init(shop) as project:
        project.ingest(items=tmp_path / "items.csv", events=tmp_path / "events.csv")
        (shop / "kinema.toml").write_text("[flm]\nmax_epochs = 1\nd_model = 8\n", encoding="utf-8")
    with Project.open(shop) as project:
        project.pretrain()
    return shop


def test_the_command_asks_one_branch_of_a_trained_model(shop):
    with Project.open(shop) as project:
        alone = project.recommend("u0", num_items=3, branch="sequential")

    def call(*arguments):
        return CliRunner().invoke(main, ["recommend", "u0", "-n", "3", "-p", str(shop), *arguments])

    told = json.loads(call("--branch", "sequential", "--json").stdout)
    assert [one["id"] for one in told["items"]] == [one.id for one in alone.items]
    assert told["notice"] == "the sequential branch alone"
    assert "memory branch alone" in call("--branch", "memory").stdout
    assert call("--branch", "fused").exit_code == 2


def test_the_memory_counts_what_was_watched_since_the_model_was_trained(shop, tmp_path):
    def followers():
        with Project.open(shop) as project:
            places = project.recommend("u0", num_items=12, branch="memory").items
        return {place.id: place.score for place in places}

    before = followers()
    rows = [(f"u{u}", "v11", 9000) for u in range(1, 6)]
    pl.DataFrame(rows, schema=["user", "item", "timestamp_ms"], orient="row").write_csv(tmp_path / "later.csv")
    with Project.open(shop) as project:
        project.ingest(events=tmp_path / "later.csv")
    after = followers()
    assert after["v11"] > before["v11"] + 0.2
