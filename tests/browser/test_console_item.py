import re

from playwright.sync_api import expect

from browser_window import settled, soon

SHOWN_MS = 300
"""By then an answer that has arrived is on the page."""


def test_an_item_plays_and_says_what_the_model_sees_in_it(page, service):
    page.goto("/items/v0001")
    settled(page)
    title = service.http.get("/v1/items/v0001").json()["title"]
    player = page.get_by_role("region", name=f"Player: {title}")
    player.get_by_role("button", name="Play").first.click()
    page.wait_for_function("() => document.querySelector('main video').currentTime > 0.3")
    for part in ("Where the model looks", "Like it", "What the model knows", "How things move", "Placement"):
        expect(page.get_by_role("heading", name=part)).to_be_visible()


def test_likeness_can_be_asked_by_one_sense_and_is_a_link(page):
    page.goto("/items/v0001")
    settled(page)
    likeness = page.get_by_role("region", name="Like it")
    with page.expect_response(lambda answer: "/similar" in answer.url and "modality=frames" in answer.url):
        likeness.get_by_role("tab", name="Look").click()
    page.wait_for_timeout(SHOWN_MS)
    first = likeness.get_by_role("article").first.get_by_role("link")
    title = first.inner_text().strip()
    first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)


def test_a_hidden_item_is_in_no_search(page, service):
    title = service.http.get("/v1/items/v0003").json()["title"]
    page.goto("/items/v0003")
    settled(page)
    page.get_by_role("switch", name="Hide everywhere").click()
    ask = lambda: [one["item_id"] for one in service.http.get("/v1/search", params={"q": title}).json()["items"]]  # noqa: E731
    soon(page, ask, lambda ids: "v0003" not in ids)
    page.get_by_role("switch", name="Hide everywhere").click()
    soon(page, ask, lambda ids: "v0003" in ids)


def test_an_item_that_is_not_there_is_said_to_be_so(page):
    page.watch.expect("/v1/items/nowhere")
    page.goto("/items/nowhere")
    expect(page.get_by_text(re.compile("nowhere")).first).to_be_visible()
