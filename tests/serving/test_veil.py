"""What a session of the console without the scope personal is told of people: pseudonyms, and nothing else."""

import io
import re

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from kinema.recommend.people import People
from kinema.serving.keys import create_key
from kinema.serving.people_names import PeopleNames
from kinema.serving.privacy import PSEUDONYM, Pseudonyms
from kinema.serving.veil import MOST
from kinema.steps.serving import make_app
from kinema.store.histories import Histories
from small_service import small_project

SITE = {"x-kinema-console": "1", "origin": "https://shop.example"}
PEOPLE = {
    "marianne@example.org": ["a", "b", "c"],
    "a slash/and 100%": ["c", "d"],
    "Ülkü": [],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    with small_project(tmp_path_factory.mktemp("veil")) as made:
        yield made


@pytest.fixture(scope="module")
def app(project):
    app = make_app(project)
    with TestClient(app, base_url="https://shop.example"):
        yield app


def client_of(app):
    return TestClient(app, base_url="https://shop.example")


@pytest.fixture(scope="module")
def program(app, project):
    """Asks with a key."""
    _, text = create_key(project.store, name="shop", scopes=["read", "write"])
    client = client_of(app)
    client.headers["X-API-Key"] = text
    for user, items in PEOPLE.items():
        assert client.put(f"/v1/users/{quoted(user)}", json={"attributes": {"user": user}}).status_code == 200
        events = [{"user_id": user, "item_id": one, "kind": "watch", "context": {"sub": user}} for one in items]
        if events:
            assert client.post("/v1/events", json={"events": events}).json()["accepted"] == len(items)
    return client


def quoted(user):
    return user.replace("%", "%25").replace("/", "%2F")


def signed_in(app, project, *scopes):
    _, text = create_key(project.store, name="console", scopes=list(scopes))
    client = client_of(app)
    assert client.post("/v1/session", json={"key": text}).status_code == 200
    client.headers.update(SITE)
    return client


@pytest.fixture(scope="module")
def reader(app, project, program):
    """Somebody before the console."""
    return signed_in(app, project, "read")


@pytest.fixture(scope="module")
def editor(app, project, program):
    return signed_in(app, project, "read", "write")


@pytest.fixture(scope="module")
def names(app):
    return app.state.parts.names


def all_users(client, **query):
    return [one["user_id"] for one in client.get("/v1/users", params=query).json()["users"]]


def test_a_list_of_users_has_pseudonyms(reader, program, names):
    shown = all_users(reader)
    assert all(PSEUDONYM.fullmatch(one) for one in shown)
    assert shown == [names.of(user) for user in all_users(program)]


def test_no_answer_of_any_route_has_an_id(app, reader, names):
    """Every route that is read, asked about every person by their pseudonym."""
    asked = 0
    for template, operations in app.openapi()["paths"].items():
        if "get" not in operations or template.startswith("/api/"):
            continue
        for user in PEOPLE:
            path = template.replace("{user_id}", names.of(user)).replace("{item_id}", "c")
            path = re.sub(r"\{[a-z_]+\}", "home", path)
            known_here = {one["name"] for one in operations["get"].get("parameters", ()) if one["in"] == "query"}
            query = {"q": "otters", "user_id": names.of(user), "debug": "true"}
            answer = reader.get(path, params={name: value for name, value in query.items() if name in known_here})
            assert answer.status_code < 500, path
            asked += answer.status_code == 200
            for known in (*PEOPLE, "marianne"):
                assert known not in answer.text, path
                assert known.encode("unicode_escape").decode() not in answer.text, path
    assert asked > 50


def test_a_pseudonym_leads_from_the_list_to_everything_of_a_person(reader, program):
    for user, watched in PEOPLE.items():
        (name,) = [one for one in all_users(reader) if one == reader.get(f"/v1/users/{quoted(user)}").json()["user_id"]]
        told = reader.get(f"/v1/users/{name}").json()
        assert (told["user_id"], told["attributes"]) == (name, {"user": name})
        history = reader.get(f"/v1/users/{name}/history").json()
        real = program.get(f"/v1/users/{quoted(user)}/history").json()
        assert history["user_id"] == name
        assert [one["item_id"] for one in history["events"]] == [one["item_id"] for one in real["events"]]
        assert {one["context"]["sub"] for one in history["events"]} <= {name}
        assert reader.get(f"/v1/users/{name}/profile").json()["num_events"] == len(watched)
        slate = reader.get(f"/v1/users/{name}/recommendations?n=6").json()
        assert not {one["item_id"] for one in slate["items"]} & set(watched)
        body = {"scenario": "home", "rules": {}, "user_id": name}
        preview = reader.post("/v1/scenarios/preview", json=body).json()
        assert preview["user_id"] == name
        assert [one["item_id"] for one in preview["current"]["items"]] == [one["item_id"] for one in slate["items"]]


def test_an_audience_has_pseudonyms_that_lead_on(reader, program, monkeypatch, app):
    real = [{"user_id": "ann", "score": 1.0}]

    def audience(item, *, num_users):
        member = type("Member", (), {"user": "ann", "score": 1.0})
        return type("Found", (), {"members": [member], "notice": "", "notices": ()}), app.state.parts.engine.world

    monkeypatch.setattr(app.state.parts.engine, "audience", audience)
    assert program.get("/v1/items/c/audience").json()["users"] == real
    (member,) = reader.get("/v1/items/c/audience").json()["users"]
    assert reader.get(f"/v1/users/{member['user_id']}").json()["user_id"] == member["user_id"] != "ann"


def test_a_search_for_users_compares_what_is_shown(reader, names):
    name = names.of("marianne@example.org")
    assert all_users(reader, q=name[3:12].upper()) == [name]
    assert all_users(reader, q="marianne@example.org") == [name]
    assert all_users(reader, q="marianne") == []
    assert all_users(reader, q="Ü") == []
    everybody = all_users(reader, q="p_")
    assert everybody == all_users(reader)
    page = reader.get("/v1/users", params={"q": "p_", "limit": 2}).json()
    rest = reader.get("/v1/users", params={"q": "p_", "cursor": page["next_cursor"]}).json()
    assert [one["user_id"] for one in (*page["users"], *rest["users"])] == everybody


def test_an_id_that_somebody_knows_is_answered_by_the_pseudonym(reader, names):
    assert reader.get("/v1/users/ann").json()["user_id"] == names.of("ann")


def test_nobody_has_a_pseudonym_that_was_never_given(reader, editor, project):
    name = "p_" + "a" * 16
    for path in ("", "/history", "/profile", "/recommendations"):
        answer = reader.get(f"/v1/users/{name}{path}")
        assert answer.status_code == 404
        assert answer.json()["error"] == {"code": "not_found", "message": f"unknown user '{name}'", "field": "user_id"}
    assert editor.put(f"/v1/users/{name}", json={}).status_code == 404
    assert editor.post("/v1/events", json={"user_id": name, "item_id": "a", "kind": "like"}).status_code == 404
    assert reader.get(f"/v1/search?q=otters&user_id={name}").status_code == 404
    assert project.store.user(name) is None


@pytest.mark.parametrize("batch", [False, True])
def test_an_event_of_a_pseudonym_is_of_the_person(editor, project, names, batch):
    event = {"user_id": names.of("ann"), "item_id": "d", "kind": "like", "event_id": f"veil-{batch}"}
    answer = editor.post("/v1/events", json={"events": [event]} if batch else event)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert [one.item for one in project.store.user_events("ann") if one.id == f"veil-{batch}"] == ["d"]


def test_what_is_refused_names_nobody(editor, names):
    name = names.of("marianne@example.org")
    events = [{"user_id": name, "item_id": "gone", "kind": "like"}, {"user_id": name, "item_id": "a", "kind": "like"}]
    answer = editor.post("/v1/events", json={"events": events})
    assert [one["field"] for one in answer.json()["rejected"]] == ["item_id"]
    assert editor.post("/v1/events", content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert editor.post("/v1/events", json=["no object"]).status_code == 422
    assert editor.post("/v1/events", json={"user_id": 3, "item_id": "a", "kind": "like"}).status_code == 422


def test_weights_are_set_by_pseudonym(editor, program, names):
    name = names.of("marianne@example.org")
    told = editor.put(f"/v1/users/{name}/profile", json={"topics": {"food": 2}}).json()
    assert told["user_id"] == name
    topics = program.get("/v1/users/marianne@example.org/profile").json()["topics"]
    assert {one["name"]: one["weight"] for one in topics}["food"] == 2


def test_what_is_said_of_somebody_in_words_has_their_pseudonym(reader, program, names):
    notice = program.get(f"/v1/users/{quoted('Ülkü')}/recommendations").json()["notice"]
    assert "user 'Ülkü' has no interactions yet" in notice
    told = reader.get(f"/v1/users/{names.of('Ülkü')}/recommendations").json()["notice"]
    assert told == notice.replace("Ülkü", names.of("Ülkü"))
    found = reader.get("/v1/users/nobody-yet/recommendations").json()["notice"]
    assert f"user '{names.of('nobody-yet')}' is unknown" in found


def test_searches_take_a_pseudonym_in_every_form(reader, program, names, monkeypatch, app):
    asked = []
    search = app.state.parts.engine.search

    def noted(text, *, user, **options):
        asked.append(user)
        return search("otters", user=user, num_items=3)

    monkeypatch.setattr(app.state.parts.engine, "search", noted)
    name, picture = names.of("ann"), io.BytesIO()
    Image.new("RGB", (32, 32)).save(picture, "PNG")
    for answer in (
        reader.get("/v1/search", params={"q": "otters", "user_id": name}),
        reader.get(f"/v1/search?q=otters&user%5Fid={name}"),
        reader.post("/v1/search", json={"q": "otters", "user_id": name}),
        reader.post("/v1/search", data={"user_id": name}, files={"image": ("a.png", picture.getvalue(), "image/png")}),
    ):
        assert answer.status_code == 200, answer.text
        assert "'ann'" not in answer.text
    assert asked == ["ann"] * 4
    assert reader.get("/v1/items/a/similar", params={"user_id": name}).status_code == 200


def test_what_items_say_of_people_is_not_touched(reader, editor, program):
    assert program.put("/v1/items/own", json={"title": "Own", "attributes": {"user_id": "studio"}}).status_code == 200
    assert reader.get("/v1/items/own").json()["attributes"] == {"user_id": "studio"}
    assert editor.get("/v1/items/own").json()["item_id"] == "own"


@pytest.mark.parametrize("scopes", [("read", "personal"), ("read", "admin")])
def test_who_may_see_personal_data_sees_ids(app, project, program, scopes):
    session = signed_in(app, project, *scopes)
    assert all_users(session) == all_users(program)
    assert session.get("/v1/users/ann").json()["user_id"] == "ann"


def test_programs_see_ids_whatever_their_scopes(program):
    assert program.get("/v1/users/ann/history").json()["user_id"] == "ann"
    assert program.get("/v1/users/" + "p_" + "a" * 16).status_code == 404


def test_the_paths_of_gorse_are_closed_to_a_session_that_sees_no_ids(reader, app, project, program):
    answer = reader.get("/api/users")
    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == (
        "a session needs the scope 'personal' for the paths of gorse: they name people by ids"
    )
    assert signed_in(app, project, "read", "personal").get("/api/users").status_code == 200


def test_a_request_that_names_a_crowd_is_refused(editor):
    events = [{"user_id": f"somebody {n}", "item_id": "a", "kind": "like"} for n in range(MOST + 1)]
    answer = editor.post("/v1/events", json={"events": events})
    assert answer.status_code == 422
    assert answer.json()["error"]["message"] == "a request of a session must name at most 100 people"


def test_answers_without_a_body_and_without_json_go_through(reader):
    assert reader.head("/v1/users").status_code in {200, 405}
    assert reader.get("/metrics").text.startswith("# HELP")


def test_who_was_erased_is_nobody_and_who_comes_again_is_themselves():
    people = People(["ann", "bob"], Histories.from_lists([[], []], 1))
    names = PeopleNames(Pseudonyms(b"sixteen bytes it is"), lambda: people)
    ann = names.of("ann")
    assert names.id_of(ann) == "ann"
    people.forget("ann")
    assert names.id_of(ann) is None
    people.add(3, "ann")  # of number 2 nobody has told yet
    assert names.id_of(ann) == "ann"
    assert list(names.with_part("", after=0)) == [(1, "bob"), (3, "ann")]
    people.add(2, "eve")
    assert names.id_of(names.of("eve")) == "eve"
    assert names.id_of("ann") is None


def test_without_a_key_for_logs_pseudonyms_are_of_the_process_alone():
    people = People(["ann"], Histories.from_lists([[]], 1))
    one, other = (PeopleNames(None, lambda: people) for _ in range(2))
    assert one.of("ann") != other.of("ann")
    assert one.id_of(one.of("ann")) == "ann"


def test_what_is_changed_in_a_session_is_told_by_the_name_of_its_key(app, project):
    session = signed_in(app, project, "read", "admin")
    told = session.put("/v1/scenarios/lunch", json={"rules": {"max_items": 1}}).json()
    assert re.fullmatch(r"console \(key:[a-z2-7]+\)", told["changed_by"])
