import re

from playwright.sync_api import expect

from browser_window import PHONE, settled, soon

SEEN = "clip => clip.currentTime > 1.2"


def feed_of(page, viewer):
    """Open the feed of somebody of whom nothing is known yet: the page asks for their profile and is told so."""
    page.watch.expect(f"/v1/users/{viewer}/profile")
    page.goto(f"/?viewer={viewer}")
    settled(page)
    page.locator("[data-part=composition] li").first.wait_for()


def shares(page):
    """Topic -> percent of what comes next, as the page tells it."""
    told = page.locator("[data-part=composition] li").all_inner_texts()
    found = [re.match(r"\s*(.+?)\s*(\d+)%", one, re.DOTALL) for one in told]
    return {one[1].strip(): int(one[2]) for one in found if one}


def topics(service):
    items = service.http.get("/v1/items", params={"limit": 200}).json()["items"]
    return {one["title"]: one["categories"][0] for one in items if one["categories"]}


def session(page):
    return page.get_by_role("region", name="This session")


def test_watching_three_clips_of_a_topic_makes_it_rise_in_the_feed(window, service):
    page = window(service.address, reduced_motion="reduce")  # nothing plays but what is started here
    feed_of(page, "browser-topic")
    of = topics(service)
    cards = page.get_by_role("region", name="Up next").get_by_role("article").get_by_role("button")
    before = shares(page)
    topic = min(
        (of[title.strip()] for title in cards.all_inner_texts() if title.strip() in of),
        key=lambda one: before.get(one, 0),
    )
    for _ in range(3):
        card = next(one for one in cards.all() if of.get(one.inner_text().strip()) == topic)
        title = card.inner_text().strip()
        card.click()
        clip = page.get_by_role("article", name=title)
        expect(clip).to_be_in_viewport(ratio=0.9)
        page.locator("body").press("k")
        expect(clip.get_by_role("button", name="Pause").first).to_be_visible()
        page.wait_for_function(SEEN, arg=clip.locator("video").element_handle())
        page.locator("body").press("ArrowDown")
        expect(session(page).get_by_role("listitem").filter(has_text=title)).to_contain_text("moved")
    assert shares(page)[topic] > before.get(topic, 0)
    profile = soon(
        page, lambda: service.http.get("/v1/users/browser-topic/profile").json(), lambda told: told["num_events"] >= 3
    )
    assert profile["topics"][0]["name"] == topic


def test_liking_by_key_is_an_event_and_is_shown(page, service):
    feed_of(page, "browser-like")
    page.locator("body").press("l")
    expect(page.get_by_role("button", name="Liked").first).to_have_attribute("aria-pressed", "true")
    expect(session(page).get_by_text("Liked")).to_be_visible()
    soon(
        page,
        lambda: service.http.get("/v1/users/browser-like/history").json()["events"],
        lambda events: "like" in {one["kind"] for one in events},
    )


def test_not_interested_goes_on_to_the_next_clip(page):
    feed_of(page, "browser-dislike")
    first = page.get_by_role("article").first.get_attribute("aria-label")
    page.get_by_role("button", name="Not interested").first.click()
    expect(session(page).get_by_text("Not interested in")).to_be_visible()
    expect(session(page)).to_contain_text(first)


def test_a_viewer_is_invented_with_what_they_like(page, service):
    feed_of(page, "browser-before")
    page.get_by_role("button", name="Change viewer").click()
    page.get_by_role("tab", name="Invent a viewer").click()
    page.get_by_label("Name").fill("browser-invented")
    page.get_by_role("dialog").get_by_text("science", exact=True).click()
    page.get_by_role("button", name="Start watching").click()
    expect(page).to_have_url(re.compile(r"viewer=browser-invented"))
    expect(page.get_by_role("button", name="Change viewer: browser-invented")).to_be_visible()
    weights = service.http.get("/v1/users/browser-invented/profile").json()["topics"]
    assert {one["name"] for one in weights if one["weight"] > 1} == {"science"}


def test_on_a_phone_what_comes_next_is_a_sheet(window, service):
    page = window(service.address, viewport=PHONE, has_touch=True, is_mobile=True)
    feed_of_phone = "browser-phone"
    page.watch.expect(f"/v1/users/{feed_of_phone}/profile")
    page.goto(f"/?viewer={feed_of_phone}")
    settled(page)
    page.get_by_role("button", name="You and what comes next").click()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Up next")).to_be_visible()
