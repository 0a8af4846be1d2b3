import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from gorse import AsyncGorse, Gorse, GorseException

from kinema.serving.keys import create_key
from kinema.steps.serving import make_app
from served import served
from small_service import small_project

PAST = "2022-08-07T00:26:46Z"


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with small_project(tmp_path_factory.mktemp("gorse")) as project, served(project) as address:
        yield address


@pytest.fixture
def client(url):
    return Gorse(url, "api_key", timeout=30)


def item(its_id, **more):
    return {
        "ItemId": its_id,
        "IsHidden": False,
        "Labels": ["x", "y"],
        "Categories": ["music"],
        "Timestamp": PAST,
        "Comment": f"Item {its_id}",
    } | more


def feedback(kind, user, its_item, **more):
    return {"FeedbackType": kind, "UserId": user, "ItemId": its_item, "Timestamp": PAST} | more


def all_pages(read, number):
    rows, cursor = read(number)
    while cursor:
        more, cursor = read(number, cursor)
        rows += more
    return rows


def ids(scores):
    return [one.id for one in scores]


def test_users(client):
    user = {"UserId": "u100", "Labels": ["a", "b"], "Subscribe": ["d"], "Comment": "comment"}
    assert client.insert_user(user) == {"RowAffected": 1}
    assert client.get_user("u100") == user
    others = [{"UserId": f"u10{place}", "Labels": {"gender": "M", "age": 24}, "Comment": ""} for place in (1, 2)]
    assert client.insert_users(others) == {"RowAffected": 2}
    assert client.get_user("u102") == others[1] | {"Subscribe": None}
    assert {"ann", "u100", "u101", "u102"} <= {one["UserId"] for one in all_pages(client.get_users, 2)}
    assert client.delete_user("u100") == {"RowAffected": 1}
    with pytest.raises(GorseException) as caught:
        client.get_user("u100")
    assert caught.value.status_code == 404
    assert client.delete_user("u100") == {"RowAffected": 0}


def test_items(client):
    items = [item(f"i10{place}", IsHidden=True, Categories=["d", "e"]) for place in range(5)]
    for one in items:
        assert client.insert_item(one) == {"RowAffected": 1}
    assert client.get_item("i100") == items[0]
    assert [one for one in all_pages(client.get_items, 3) if one["ItemId"].startswith("i10")] == items
    assert client.update_item("i100", labels=["z"]) == {"RowAffected": 1}
    assert client.get_item("i100") == items[0] | {"Labels": ["z"]}
    client.update_item("i100", comment="Better", timestamp="2023-01-01", categories=[], is_hidden=False)
    changed = {"Comment": "Better", "Timestamp": "2023-01-01T00:00:00Z", "Categories": [], "IsHidden": False}
    assert client.get_item("i100") == items[0] | {"Labels": ["z"]} | changed
    assert client.delete_item("i100") == {"RowAffected": 1}
    with pytest.raises(GorseException) as caught:
        client.get_item("i100")
    assert caught.value.status_code == 404
    assert client.delete_item("i100") == {"RowAffected": 0}


def test_a_search(client):
    assert [one["ItemId"] for one in client.search_items("otters", 5)][:2] == ["a", "b"]


def test_feedback_of_any_type_is_read_back_as_it_was_written(client):
    assert client.insert_feedback("star", "f1", "a", PAST, 2.5) == {"RowAffected": 1}
    rows = [feedback("read", "f1", "b", Comment="twice"), feedback("bookmark", "f1", "unheard-of")]
    assert client.insert_feedbacks(rows) == {"RowAffected": 2}
    full = {"Value": 0.0, "Comment": ""}
    assert client.list_feedbacks("star", "f1") == [feedback("star", "f1", "a", **full) | {"Value": 2.5}]
    assert client.list_feedbacks("read", "f1") == [full | rows[0]]
    assert client.list_feedbacks("bookmark", "f1") == [full | rows[1]]
    assert client.list_feedbacks("like", "f1") == []
    assert client.get_item("unheard-of") == item("unheard-of", Labels=[], Categories=[], Comment="") | {
        "Timestamp": "0001-01-01T00:00:00Z"
    }


def test_the_same_feedback_twice_is_one(client):
    client.insert_feedback("like", "f2", "a", PAST)
    client.insert_feedback("like", "f2", "a", "2023-01-01T00:00:00Z")
    assert [one["Timestamp"] for one in client.list_feedbacks("like", "f2")] == [PAST]


def test_all_feedback_is_listed_page_by_page(client):
    client.insert_feedbacks([feedback("star", "f3", its_item) for its_item in "abcde"])
    rows = all_pages(client.get_feedbacks, 4)
    assert [one["ItemId"] for one in rows if one["UserId"] == "f3"] == list("abcde")
    assert {"FeedbackType": "watch", "UserId": "ann"}.items() <= rows[0].items()


def test_deleted_feedback_is_forgotten(client):
    client.insert_feedbacks([feedback("star", "f4", "c"), feedback("read", "f4", "c"), feedback("star", "f4", "e")])
    assert "c" not in ids(client.get_recommend("f4"))
    assert client.delete_feedback("f4", "c") == {"RowAffected": 2}
    assert client.list_feedbacks("star", "f4")[0]["ItemId"] == "e"
    assert "c" in ids(client.get_recommend("f4"))
    assert client.delete_feedback("f4", "c") == {"RowAffected": 0}


def test_recommendations_have_scores_and_pages(client):
    scores = client.get_recommend("ann")
    assert len(scores) >= 3
    assert all(isinstance(one.score, float) for one in scores)
    assert ids(client.get_recommend("ann", n=2)) == ids(scores)[:2]
    assert ids(client.get_recommend("ann", n=2, offset=1)) == ids(scores)[1:3]
    assert client.get_recommend("ann", n=0) == []
    assert set(ids(client.get_recommend("ann", "food"))) == {"e", "f"}
    assert client.get_recommend("ann", "no such category") == []


def test_what_was_written_back_is_not_recommended_again(client):
    client.insert_feedback("star", "w1", "a", PAST)
    first = ids(client.get_recommend("w1", n=2, write_back_type="read"))
    second = ids(client.get_recommend("w1", n=2, write_back_type="read", write_back_delay="1h30m"))
    assert len({*first, *second}) == 4
    assert [one["ItemId"] for one in client.list_feedbacks("read", "w1")] == first
    assert ids(client.get_recommend("w1", n=2)) == second, "it is read only in an hour and a half"


def test_a_delay_must_be_one(client):
    with pytest.raises(GorseException) as caught:
        client.get_recommend("w1", write_back_type="read", write_back_delay="soon")
    assert caught.value.status_code == 422
    assert "write-back-delay must be a length of time such as 10m or 1h30m, is 'soon'" in caught.value.message


def test_a_session_is_answered_by_its_feedback(client):
    now = datetime.now(UTC)
    session = [
        feedback("like", "0", "d", Timestamp=(now - timedelta(hours=1)).isoformat()),
        feedback("read", "0", "e", Timestamp=now.isoformat()),
    ]
    found = client.session_recommend(session, 3)
    assert found[0]["Id"] == "c"
    assert set(found[0]) == {"Id", "Score"}
    assert not {"d", "e"} & {one["Id"] for one in found}
    with pytest.raises(GorseException):
        client.get_user("0")


def test_neighbours_of_an_item_that_is_a_moment_old(client):
    client.insert_item(item("n1", Categories=["nature"]))
    found = client.get_neighbors("n1", 2)
    assert {one["Id"] for one in found} == {"a", "b"}
    assert [one["Id"] for one in client.get_neighbors("n1", 1, 1)] == [found[1]["Id"]]
    assert client.get_neighbors("nothing") == []


def test_errors_say_what_is_wrong(client):
    with pytest.raises(GorseException) as caught:
        client.insert_feedback("like", "u", "a", "yesterday")
    assert caught.value.status_code == 422
    assert "a moment such as 2026-01-31T12:00:00Z, is 'yesterday'" in caught.value.message
    with pytest.raises(GorseException) as caught:
        client.update_item("nothing", comment="x")
    assert caught.value.status_code == 404


def test_a_key_is_asked_for(tmp_path):
    with small_project(tmp_path) as project:
        _, reader = create_key(project.store, name="reader", scopes=["read"])
        _, writer = create_key(project.store, name="writer", scopes=["read", "write"])
        with served(project, make_app(project)) as url:
            assert Gorse(url, writer).insert_user({"UserId": "k1"}) == {"RowAffected": 1}
            assert Gorse(url, reader).get_user("k1")["UserId"] == "k1"
            codes = []
            for key in ("wrong", reader):
                with pytest.raises(GorseException) as caught:
                    Gorse(url, key).insert_user({"UserId": "k2"})
                codes.append(caught.value.status_code)
    assert codes == [401, 403]


def test_the_asynchronous_client(url):
    async def use():
        client = AsyncGorse(url, "api_key")
        assert await client.insert_user({"UserId": "s1", "Labels": ["a"], "Comment": ""}) == {"RowAffected": 1}
        assert await client.insert_users([{"UserId": "s2"}, {"UserId": "s3"}]) == {"RowAffected": 2}
        assert (await client.get_user("s1"))["Labels"] == ["a"]
        users, cursor = await client.get_users(1)
        assert users
        assert cursor
        assert await client.insert_item(item("j1", IsHidden=True)) == {"RowAffected": 1}
        assert await client.update_item("j1", labels=["q"]) == {"RowAffected": 1}
        assert (await client.get_item("j1"))["Labels"] == ["q"]
        assert len((await client.get_items(2))[0]) == 2
        assert (await client.search_items("goalkeeper"))[0]["ItemId"] == "d"
        assert await client.delete_item("j1") == {"RowAffected": 1}
        assert await client.insert_feedback("star", "s1", "d", PAST) == {"RowAffected": 1}
        assert await client.insert_feedbacks([feedback("read", "s1", "e")]) == {"RowAffected": 1}
        assert len(await client.list_feedbacks("star", "s1")) == 1
        assert len((await client.get_feedbacks(3))[0]) == 3
        assert "c" in ids(await client.get_recommend("s1", write_back_type="read"))
        assert (await client.session_recommend([feedback("star", "0", "d")]))[0]["Id"] == "c"
        assert await client.get_neighbors("a", 1)
        assert (await client.delete_feedback("s1", "d"))["RowAffected"] == 1
        assert await client.delete_user("s1") == {"RowAffected": 1}
        with pytest.raises(GorseException):
            await client.get_user("s1")

    asyncio.run(use())
