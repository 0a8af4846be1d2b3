import re

from playwright.sync_api import expect

from browser_window import settled, soon


def test_a_weight_that_is_set_changes_the_slate(page, service):
    page.goto("/users/u00002")
    settled(page)
    interests = page.get_by_role("region", name="Interests")
    topic = interests.get_by_role("listitem").first
    slider = topic.get_by_role("slider")
    name = topic.inner_text().split("\n")[0].strip()
    slider.focus()
    slider.press("Home")
    told = soon(
        page,
        lambda: service.http.get("/v1/users/u00002/profile").json()["topics"],
        lambda topics: {one["name"]: one["weight"] for one in topics}.get(name) == 0,
    )
    assert told
    page.reload()
    settled(page)
    expect(page.get_by_role("heading", name="How this slate came about")).to_be_visible()


def test_a_modality_that_is_left_out_is_a_stage_of_the_slate(page, service):
    page.goto("/users/u00004")
    settled(page)
    modalities = page.get_by_role("list", name="What holds it together")
    slider = modalities.get_by_role("slider", name="Weight of motion")
    slider.focus()
    slider.press("Home")
    told = soon(
        page,
        lambda: service.http.get("/v1/users/u00004/profile").json()["modalities"],
        lambda found: {one["name"]: one["weight"] for one in found}["motion"] == 0,
    )
    assert told
    expect(page.get_by_role("row", name=re.compile("Modalities weighed"))).to_be_visible()


def test_who_may_only_read_meets_people_by_pseudonyms(window, guarded, keys):
    page = window(guarded.address)
    page.watch.expect("/v1/session")
    page.goto("/users")
    page.get_by_label("Key").fill(keys["reader"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name=re.compile(r"^p_[a-z2-7]{16}")).first.click()
    expect(page).to_have_url(re.compile(r"/users/p_[a-z2-7]{16}$"))
    expect(page.get_by_role("heading", name=re.compile(r"^p_[a-z2-7]{16}$"), level=1)).to_be_visible()
    expect(page.get_by_role("heading", name="How this slate came about")).to_be_visible()
    settled(page)
    assert not re.search(r"\bu0\d{4}\b", page.content())


def test_a_person_takes_their_data_along(page):
    page.goto("/users/u00003")
    settled(page)
    with page.expect_download() as taken:
        page.get_by_role("button", name="Export").click()
    assert taken.value.suggested_filename.endswith(".json")


def test_a_persons_data_is_deleted_and_gone_from_the_api(page, service):
    event = {"user_id": "browser-gone", "item_id": "v0001", "kind": "like"}
    service.http.post("/v1/events", json={"events": [event]})
    soon(page, lambda: service.http.get("/v1/users/browser-gone/profile").status_code, lambda status: status == 200)
    page.goto("/users/browser-gone")
    settled(page)
    page.get_by_role("button", name="Erase").click()
    dialog = page.get_by_role("dialog", name="Erase browser-gone?")
    expect(dialog).to_contain_text("1 event")
    dialog.get_by_role("button", name="Erase for good").click()
    expect(page).to_have_url(re.compile(r"/users$"))
    expect(page.get_by_text(re.compile(r"^browser-gone is erased"))).to_be_visible()
    assert service.http.get("/v1/users/browser-gone").status_code == 404
    assert service.http.get("/v1/users/browser-gone/profile").status_code == 404
