from concurrent.futures import ThreadPoolExecutor

import pytest

from running_service import RunningService
from small_service import ITEMS, small_project


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    with small_project(tmp_path_factory.mktemp("two")) as project:
        folder = project.folder
    # Nothing here may be found by polling.
    slow = {"KINEMA_SERVING__FOLLOW_SECONDS": "60"}
    with ThreadPoolExecutor(2) as pool:
        started = [pool.submit(RunningService, folder, environment=slow) for _ in range(2)]
        made = [one.result() for one in started]
    yield made
    for one in made:
        one.stop()


def shown(service, user):
    answer = service.http.get(f"/v1/users/{user}/recommendations?n=6")
    assert answer.status_code == 200
    return {one["item_id"] for one in answer.json()["items"]}


def test_an_event_is_in_the_next_answer_of_the_other_process(services):
    for place in range(60):
        one, other = services[place % 2], services[1 - place % 2]
        user, item = f"visitor{place}", "abcdef"[place % 6]
        event = {"user_id": user, "item_id": item, "kind": "dislike"}
        assert one.http.post("/v1/events", json=event).status_code == 200
        assert shown(other, user) == set(ITEMS) - {item}
        assert shown(one, user) == set(ITEMS) - {item}


def test_it_is_while_both_processes_write(services):
    def follow(number):
        one, other = services[number % 2], services[1 - number % 2]
        wrong = []
        for place in range(25):
            user, item = f"busy{number}-{place}", "abcdef"[place % 6]
            event = {"user_id": user, "item_id": item, "kind": "dislike"}
            assert one.http.post("/v1/events", json=event).status_code == 200
            if item in shown(other, user):
                wrong.append(user)
        return wrong

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(follow, range(4))) == [[]] * 4


def test_what_a_person_has_set_is_known_to_the_other_process_at_once(services):
    one, other = services
    for weight in (0.0, 2.0, 0.5):
        one.http.put("/v1/users/ann/profile", json={"topics": {"nature": weight}}).raise_for_status()
        topics = {each["name"]: each["weight"] for each in other.http.get("/v1/users/ann/profile").json()["topics"]}
        assert topics["nature"] == weight
