import threading
import time

import polars as pl
import pytest

from kinema.store.sql import SqlStore
from small_service import small_client


@pytest.fixture
def client(tmp_path):
    with small_client(tmp_path) as served:
        yield served


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [one["item_id"] for one in answer.json()["items"]]


def log(client, user, item, kind="watch", **more):
    return client.post("/v1/events", json={"user_id": user, "item_id": item, "kind": kind, **more})


def error(answer, status, code):
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    return answer.json()["error"]


def test_an_answer_has_what_an_event_needs_to_name_it(client):
    answer = client.get("/v1/users/ann/recommendations?n=2").json()
    assert answer["scenario"] == "home"
    assert answer["model_version"] == "none"
    assert [(one["position"], one["propensity"]) for one in answer["items"]] == [(0, 1.0), (1, 1.0)]
    assert all(one["reason"] for one in answer["items"])
    logged = client.project.store.slate(answer["recommendation_id"])
    assert logged.items == tuple(one["item_id"] for one in answer["items"])
    assert (logged.user, logged.scenario, logged.model_version) == ("ann", "home", "none")


def test_an_event_is_in_the_next_answer(client):
    before = ids(client.get("/v1/users/ann/recommendations?n=6"))
    assert "d" in before
    assert log(client, "ann", "d").json() == {"accepted": 1, "rejected": []}
    assert "d" not in ids(client.get("/v1/users/ann/recommendations?n=6"))


def test_what_somebody_unknown_did_a_moment_ago_counts(client):
    assert client.get("/v1/users/eve/recommendations").json()["notice"]
    log(client, "eve", "d")
    assert ids(client.get("/v1/users/eve/recommendations?n=1")) == ["c"]


def test_the_memory_learns_from_one_event(client):
    for user in ("x", "y", "z"):
        log(client, user, "e")
        log(client, user, "f")
    log(client, "new", "e")
    assert ids(client.get("/v1/users/new/recommendations?n=1")) == ["f"]


def test_a_disliked_item_is_not_shown_again(client):
    log(client, "bob", "a", "dislike")
    assert "a" not in ids(client.get("/v1/users/bob/recommendations?n=6"))
    log(client, "bob", "e", "impression")
    assert "e" in ids(client.get("/v1/users/bob/recommendations?n=6"))


def test_a_guest_is_answered_by_the_session(client):
    session = [{"item_id": "d", "kind": "watch"}]
    answer = client.post("/v1/recommendations", json={"n": 1, "session": session})
    assert ids(answer) == ["c"]
    assert client.project.store.user("") is None


def test_a_session_adds_to_what_is_stored(client):
    body = {"n": 6, "session": [{"item_id": "e", "kind": "watch"}, {"item_id": "f", "kind": "skip"}]}
    found = ids(client.post("/v1/users/ann/recommendations", json=body))
    assert not {"a", "b", "c", "e", "f"} & set(found)


def test_what_is_excluded_is_not_shown(client):
    assert "d" not in ids(client.post("/v1/users/ann/recommendations", json={"exclude": ["d", "unknown"]}))


def test_an_event_with_a_known_id_changes_nothing(client):
    for _ in range(2):
        assert log(client, "ann", "e", event_id="e1").json()["accepted"] == 1
    assert sum(one.item == "e" for one in client.project.store.user_events("ann")) == 1


def test_of_a_batch_the_good_events_are_taken_and_the_others_named(client):
    good = {"user_id": "ann", "item_id": "e", "kind": "click"}
    batch = [good, good | {"item_id": "zz"}, {"user_id": "ann", "item_id": "e"}, good | {"kind": "wach"}]
    answer = client.post("/v1/events", json={"events": batch}).json()
    assert answer["accepted"] == 1
    told = [(one["index"], one["code"], one["field"]) for one in answer["rejected"]]
    assert told == [(1, "not_found", "item_id"), (2, "invalid", "kind"), (3, "invalid", "kind")]
    assert answer["rejected"][1]["message"] == "kind is required"


def test_a_batch_without_a_good_event_is_an_error(client):
    told = error(client.post("/v1/events", json={"events": [{"item_id": "a", "kind": "like"}]}), 422, "invalid")
    assert told["field"] == "events.0.user_id"
    assert "the first: user_id is required" in told["message"]


@pytest.mark.parametrize(
    ("body", "answer", "field", "message"),
    [
        ({"user_id": "u", "item_id": "zz", "kind": "like"}, (404, "not_found"), "item_id", "unknown item 'zz'"),
        ({"user_id": "u", "kind": "like"}, (422, "invalid"), "item_id", "item_id is required"),
        ({"user_id": "", "item_id": "a", "kind": "like"}, (422, "invalid"), "user_id", "at least 1 character"),
        ({"user_id": "u\n", "item_id": "a", "kind": "like"}, (422, "invalid"), "user_id", "free of control characters"),
        (
            {"user_id": "u", "item_id": "a", "kind": "like", "watch_ms": -1},
            (422, "invalid"),
            "watch_ms",
            "greater than",
        ),
        ({"user_id": "u", "item_id": "a", "kind": "like", "wach": 1}, (422, "invalid"), "wach", "unknown field 'wach'"),
        (
            {"user_id": "u", "item_id": "a", "kind": "like", "timestamp_ms": "now"},
            (422, "invalid"),
            "timestamp_ms",
            "must be a moment, UTC milliseconds or ISO 8601, is 'now'",
        ),
        (
            {"user_id": "u", "item_id": "a", "kind": "like", "timestamp_ms": "2199-01-01T00:00:00Z"},
            (422, "invalid"),
            "timestamp_ms",
            "timestamp_ms must be at most a day ahead of the service's clock, is",
        ),
        (
            {"user_id": "u", "item_id": "a", "kind": "like", "timestamp_ms": 1_790_000_000},
            (422, "invalid"),
            "timestamp_ms",
            "must be UTC milliseconds, 1790000000 are seconds, of 2026-09-21; send 1790000000000",
        ),
        ({"user_id": "u", "item_id": "a", "kind": "lik"}, (422, "invalid"), "kind", "or 'purchase', is 'lik'"),
        (
            {"user_id": "u", "item_id": "a", "kind": "like", "wach": 1, "watch_ms": -1},
            (422, "invalid"),
            "watch_ms",
            "watch_ms must be greater than or equal to 0; wrong as well: wach",
        ),
    ],
)
def test_a_bad_event_is_told_what_is_wrong(client, body, answer, field, message):
    told = error(client.post("/v1/events", json=body), *answer)
    assert told["field"] == field
    assert message in told["message"]


@pytest.mark.parametrize(
    ("address", "field", "message"),
    [
        (
            "/v1/users/ann/recommendations?nn=5",
            "nn",
            "unknown parameter 'nn', did you mean 'n'? known: n, scenario, explain, debug",
        ),
        ("/v1/users/ann/recommendations?n=5&top=3", "top", "unknown parameter 'top'; known: n, scenario"),
        ("/v1/search?q=x&hidden=true", "hidden", "unknown parameter 'hidden', did you mean 'hide_seen'?"),
        ("/v1/users/ann?n=5", "n", "unknown parameter 'n'; this path has none"),
    ],
)
def test_a_parameter_that_nothing_would_be_done_with_is_refused(client, address, field, message):
    told = error(client.get(address), 422, "invalid")
    assert told["field"] == field
    assert told["message"].startswith(message)


def test_an_unknown_path_is_named(client):
    told = error(client.get("/v1/users/ann/recommendation?n=5"), 404, "not_found")
    assert told["message"] == "no path '/v1/users/ann/recommendation'; all paths: /docs"


def test_more_events_than_a_request_may_have_are_refused(client):
    many = [{"user_id": "u", "item_id": "a", "kind": "like"}] * 1001
    told = error(client.post("/v1/events", json={"events": many}), 413, "too_large")
    assert told["message"] == "events must be at most 1,000 in a request, are 1,001"


def test_a_body_that_is_no_json_is_refused(client):
    answer = client.post("/v1/events", content=b"{", headers={"Content-Type": "application/json"})
    error(answer, 400, "invalid_json")


def test_a_moment_may_be_a_date(client):
    log(client, "ann", "e", timestamp_ms="2026-01-31T12:00:00+01:00")
    assert client.project.store.user_events("ann")[-1].timestamp_ms == 1_769_857_200_000


def test_an_unknown_path_and_method_have_the_same_form_of_error(client):
    error(client.get("/v1/nothing"), 404, "not_found")
    error(client.put("/v1/events", json={}), 405, "method_not_allowed")


def test_a_method_that_a_path_has_not_is_answered_with_those_it_has(client):
    assert client.patch("/v1/items/a").headers["Allow"] == "DELETE, GET, PUT"
    assert client.patch("/v1/scenarios/preview").headers["Allow"] == "POST"


def test_a_new_item_is_recommendable_when_it_is_answered(client):
    answer = client.put("/v1/items/new", json={"title": "Snow in May", "categories": ["nature"]})
    assert (answer.json()["title"], answer.json()["recommendable"], answer.json()["events"]) == ("Snow in May", True, 0)
    assert "new" in ids(client.get("/v1/users/ann/recommendations?n=7"))
    assert log(client, "ann", "new").status_code == 200
    assert "new" not in ids(client.get("/v1/users/ann/recommendations?n=7"))


def test_a_hidden_item_is_not_recommended(client):
    client.put("/v1/items/d", json={"title": "x", "hidden": True})
    assert client.get("/v1/items/d").json()["recommendable"] is False
    assert "d" not in ids(client.get("/v1/users/ann/recommendations?n=6"))


def test_a_deleted_item_is_gone_everywhere(client):
    assert client.delete("/v1/items/d").json()["deleted"] is True
    error(client.get("/v1/items/d"), 404, "not_found")
    error(client.delete("/v1/items/d"), 404, "not_found")
    error(client.get("/v1/items/d/similar"), 404, "not_found")
    error(log(client, "ann", "d"), 404, "not_found")
    assert "d" not in ids(client.get("/v1/users/ann/recommendations?n=6"))
    client.put("/v1/items/d", json={"title": "Back again"})
    assert "d" in ids(client.get("/v1/users/ann/recommendations?n=6"))


def test_items_come_page_by_page(client):
    first = client.get("/v1/items?limit=4").json()
    second = client.get(f"/v1/items?limit=4&cursor={first['next_cursor']}").json()
    assert [one["item_id"] for one in first["items"] + second["items"]] == list("abcdef")
    assert second["next_cursor"] is None
    error(client.get("/v1/items?cursor=x"), 422, "invalid")


def test_a_user_is_written_read_listed_and_erased(client):
    assert client.put("/v1/users/eve", json={"attributes": {"age": 7}}).json()["attributes"] == {"age": 7}
    assert client.get("/v1/users/eve").json()["user_id"] == "eve"
    assert "eve" in [one["user_id"] for one in client.get("/v1/users").json()["users"]]
    assert [one["user_id"] for one in client.get("/v1/users?q=EV").json()["users"]] == ["eve"]
    assert client.get("/v1/users?q=%25").json() == {"users": [], "next_cursor": None}
    answer = client.get("/v1/users/eve/recommendations").json()
    log(client, "eve", "a")
    assert client.delete("/v1/users/eve").json()["events"] == 1
    error(client.get("/v1/users/eve"), 404, "not_found")
    error(client.delete("/v1/users/eve"), 404, "not_found")
    assert client.project.store.slate(answer["recommendation_id"]) is None
    assert "a" in ids(client.get("/v1/users/eve/recommendations?n=6"))


def test_similar_items_and_words_are_logged_as_slates_too(client):
    near = client.get("/v1/items/c/similar?n=2")
    assert ids(near)[0] == "d"
    assert client.project.store.slate(near.json()["recommendation_id"]).scenario == "related"
    found = client.get("/v1/search?q=otters&n=2&user_id=ann")
    assert set(ids(found)) == {"a", "b"}
    assert client.project.store.slate(found.json()["recommendation_id"]).context == {"query": "otters"}
    assert ids(client.post("/v1/search", json={"q": "penalty", "n": 1})) == ["d"]


def test_a_search_may_be_of_some_languages_and_lengths_alone(client):
    for name, language, duration_ms in (("short", "en", 4_000), ("long", "en-GB", 90_000), ("kurz", "de", 4_000)):
        item = {"title": "Otters", "language": language, "duration_ms": duration_ms}
        assert client.put(f"/v1/items/{name}", json=item).status_code == 200
    assert set(ids(client.get("/v1/search?q=otters&language=en"))) == {"short", "long"}
    assert set(ids(client.get("/v1/search?q=otters&language=en&language=de&max_duration_ms=4000"))) == {"short", "kurz"}
    asked = {"q": "otters", "languages": ["EN"], "min_duration_ms": 5_000}
    assert ids(client.post("/v1/search", json=asked)) == ["long"]
    refused = error(client.get("/v1/search?q=otters&language=dee"), 422, "invalid")
    assert refused["message"].startswith("unknown language 'dee', did you mean 'de'? known: de, en, en-gb")
    assert error(client.get("/v1/search?q=otters&min_duration_ms=-1"), 422, "invalid")["field"] == "min_duration_ms"


def test_a_search_for_nothing_is_told_so(client):
    error(client.get("/v1/search?q="), 422, "invalid")


def test_an_audience_without_content_and_model_says_what_is_missing(client):
    told = error(client.get("/v1/items/a/audience"), 409, "not_built")
    assert "kinema" in told["message"]


@pytest.mark.parametrize("query", ["n=0", "n=1001", "n=x", "scenario=nope", "explain=perhaps"])
def test_a_number_out_of_range_is_refused(client, query):
    assert client.get(f"/v1/users/ann/recommendations?{query}").status_code == 422


def test_a_trace_is_shown_on_request(client):
    answer = client.get("/v1/users/ann/recommendations?debug=true").json()
    assert answer["trace"][0]["stage"] == "filter"
    assert answer["items"][0]["sources"]
    plain = client.get("/v1/users/ann/recommendations?explain=false").json()
    assert plain["trace"] is None
    assert plain["items"][0]["reason"] is None


def test_what_another_process_writes_is_taken_in(client):
    other = SqlStore.open(client.project.folder / "store.db")
    other.write_items(pl.DataFrame({"id": ["late"], "title": ["Late"]}))
    other.write_events(
        pl.DataFrame({"user": ["ann", "zoe"], "item": ["d", "d"], "timestamp_ms": [1, 2], "kind": ["watch"] * 2})
    )
    deadline = time.monotonic() + 20
    found = ["d"]
    while ("d" in found or "late" not in found) and time.monotonic() < deadline:
        time.sleep(0.05)
        found = ids(client.get("/v1/users/ann/recommendations?n=7"))
    assert "d" not in found
    assert "late" in found
    assert ids(client.get("/v1/users/zoe/recommendations?n=1")) == ["c"]
    other.close()


def test_many_writers_at_once_lose_nothing(client):
    def write(number):
        for place in range(10):
            assert log(client, f"u{number}", "abcdef"[place % 6], event_id=f"{number}-{place}").status_code == 200

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert client.project.store.summary().num_events == 7 + 80


def test_the_document_names_our_form_of_errors_alone(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    assert "Problem" in schemas
    assert "HTTPValidationError" not in schemas
    operation = document["paths"]["/v1/users/{user_id}/recommendations"]["get"]
    assert set(operation["responses"]) == {"200", "4XX", "5XX"}
