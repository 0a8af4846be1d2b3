import numpy as np
import pytest

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.interests import HALF_LIFE, Sense, Weights, interests_of, with_weights
from kinema.recommend.scenario import Condition, Scenario
from kinema.schema import Item
from kinema.store.histories import Histories


def catalogue(names):
    return Catalogue.of([Item(f"v{number}", categories=(name,) if name else ()) for number, name in enumerate(names)])


def judged(items, names, content=None, **weights):
    return interests_of(
        Histories.from_lists([items], len(names)), catalogue(names), content or {}, weights=Weights(weights)
    )


def test_topics_are_shares_of_what_was_watched_lately():
    found = judged([0, 1, 2], ["sea", "sea", "food", "news"])
    assert [one.name for one in found.topics] == ["sea", "food"]
    assert sum(one.share for one in found.topics) == pytest.approx(1)
    assert [one.num_events for one in found.topics] == [2, 1]
    older, newer = 0.5 ** (2 / HALF_LIFE) + 0.5 ** (1 / HALF_LIFE), 1.0
    assert found.topics[0].share == pytest.approx(older / (older + newer))


def test_what_somebody_has_set_is_shown_also_where_nothing_was_watched():
    found = judged([0], ["sea"], news=0.0)
    assert [(one.name, one.weight, one.share) for one in found.topics] == [("sea", 1.0, 1.0), ("news", 0.0, 0.0)]


def test_somebody_unknown_has_no_interests():
    found = interests_of(None, catalogue(["sea"]), {}, weights=Weights())
    assert (found.topics, found.modalities, found.num_events) == ((), (), 0)


def test_the_modality_that_holds_a_history_together_has_the_larger_share():
    random = np.random.default_rng(0)
    noise = random.normal(size=(60, 8))
    alike = random.normal(size=(60, 8))
    alike[:10] = alike[0] + 0.1 * random.normal(size=(10, 8))
    content = {
        name: (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        for name, rows in (("noise", noise), ("look", alike))
    }
    found = judged(list(range(10)), ["x"] * 60, content)
    assert sum(one.share for one in found.modalities) == pytest.approx(1)
    assert (found.modalities[0].name, found.modalities[0].share > 0.7) == ("look", True)


def test_a_history_of_one_item_says_nothing_about_modalities():
    assert judged([0], ["x"] * 3, {"look": np.eye(3, dtype=np.float32)}).modalities == (Sense("look", 0.0),)


def test_every_modality_of_the_catalogue_is_there_with_what_somebody_has_set():
    content = dict.fromkeys(("look", "words"), np.eye(3, dtype=np.float32))
    found = interests_of(None, catalogue(["x"] * 3), content, weights=Weights(modalities={"words": 2.0, "gone": 0.0}))
    assert found.modalities == (Sense("look", 0.0), Sense("words", 0.0, 2.0))


def test_weights_become_rules():
    rules = Scenario("home", filter=Condition(not_categories=("ads",)))
    found = with_weights(rules, Weights({"news": 0.0, "sea": 2.0, "food": 1.0}, {"look": 0.0, "words": 1.0}))
    assert found.filter.not_categories == ("ads", "news")
    assert [(one.where.categories, one.multiply) for one in found.boosts] == [(("sea",), 2.0)]
    assert found.modalities == {"look": 0.0}
    assert with_weights(rules, Weights({"food": 1.0}, {"words": 1.0})) is rules
