import gc

import pytest

from kinema.schema import Event, EventKind
from kinema.serving.engine import Engine
from kinema.serving.keeper import settle_memory
from kinema.steps.live_world import ProjectWorlds
from small_service import small_project


@pytest.fixture
def project(tmp_path):
    with small_project(tmp_path) as made:
        yield made


def test_each_world_that_is_taken_is_told(project):
    taken = []
    engine = Engine(store=project.store, worlds=ProjectWorlds(project), taken=lambda: taken.append(engine.world))
    engine.start()
    first = engine.world
    assert taken == [first]
    engine.put_item("new", {"title": "New", "categories": []})
    engine.stop()
    assert taken[0] is first
    assert "new" in taken[-1].catalogue.numbers


def test_what_is_settled_is_looked_through_no_more():
    settle_memory()
    try:
        assert gc.get_freeze_count() > 10_000
        assert len(gc.get_objects()) < 10_000
    finally:
        gc.unfreeze()


def test_following_goes_on_where_the_store_is_away_for_a_moment(project, monkeypatch):
    engine = Engine(store=project.store, worlds=ProjectWorlds(project), follow_seconds=60)
    engine.start()
    with monkeypatch.context() as away:
        away.setattr(project.store, "events_after", lambda *_, **__: 1 / 0)
        project.store.changes.tell(events=True)
        assert engine.newest_world() is engine.world
    engine.write([Event("dan", "a", 9, EventKind.DISLIKE)]).result(10)
    assert engine.newest_world().people.disliked("dan") == ("a",)
    engine.stop()
