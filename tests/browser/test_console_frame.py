import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from browser_window import PAGES, PHONE, settled


def test_a_key_is_asked_for_once_and_a_wrong_one_is_refused(window, guarded, keys):
    page = window(guarded.address)
    page.watch.expect("/v1/session")  # 401: nobody is signed in yet, then a wrong key
    page.goto("/status")
    page.get_by_label("Key").fill("kin_wrong_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("This key is not known, or has expired.")).to_be_visible()
    page.get_by_label("Key").fill(keys["all"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Health", level=1)).to_be_visible()
    cookie = next(one for one in page.context.cookies() if "session" in one["name"])
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert keys["all"] not in page.evaluate("() => JSON.stringify({...localStorage, ...sessionStorage})")
    page.reload()
    expect(page.get_by_role("heading", name="Health", level=1)).to_be_visible()
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name=re.compile("^Sign out")).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_key_that_may_only_read_is_told_so(window, guarded, keys):
    page = window(guarded.address)
    page.watch.expect("/v1/session", "/profile")
    page.goto("/")
    page.get_by_label("Key").fill(keys["reader"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("This key may only read: what you do here is not kept.")).to_be_visible()
    expect(page.get_by_role("button", name="Skip").first).to_be_disabled()


def test_the_palette_jumps_by_keyboard(page):
    page.goto("/status")
    settled(page)
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox")
    expect(field).to_be_focused()
    field.fill("Mod")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/models$"))
    expect(page.locator("main h1")).to_be_focused()


def test_the_palette_finds_items(page):
    page.goto("/status")
    settled(page)
    page.get_by_role("button", name="Jump to…").click()
    page.get_by_role("combobox").fill("guitarist")
    option = page.get_by_role("group", name="Items").get_by_role("option").first
    expect(option).to_be_visible()
    option.click()
    expect(page).to_have_url(re.compile(r"/items/v\d+"))


def test_the_keyboard_reaches_the_content_and_the_focus_is_seen(page):
    page.goto("/status")
    settled(page)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    ring = page.evaluate(
        "() => { const one = getComputedStyle(document.activeElement.closest('label') ?? document.activeElement);"
        " return one.outlineStyle !== 'none' && parseFloat(one.outlineWidth) >= 2 }"
    )
    assert ring


def test_languages_and_themes_are_kept(page):
    page.goto("/status")
    settled(page)
    page.get_by_role("button", name="Settings").click()
    page.get_by_text("Dark", exact=True).click()
    page.get_by_text("中文").click()
    expect(page.locator("main h1")).to_have_text("健康")
    page.reload()
    expect(page.locator("main h1")).to_have_text("健康")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(11, 14, 18)"


@pytest.mark.parametrize("name", list(PAGES))
def test_every_page_is_reached_by_its_address_and_by_the_sidebar(page, name):
    page.watch.expect("/profile")  # of a new visitor nothing is known
    page.goto(PAGES[name])
    settled(page)
    expect(page.locator("nav a[aria-current=page]").first).to_be_visible()
    page.locator("nav").first.get_by_role("link", name="Health").click()
    expect(page.locator("main h1")).to_have_text("Health")
    page.go_back()
    settled(page)
    assert urlsplit(page.url).path == PAGES[name].split("?")[0]


def test_an_address_that_leads_nowhere_says_so(page):
    page.goto("/no/such/page")
    expect(page.get_by_text("There is no such page")).to_be_visible()
    page.get_by_role("link", name="Go to “For you”").click()
    expect(page.get_by_role("heading", name="For you", level=1)).to_be_visible()
    page.watch.expect("/profile")


def test_without_the_service_the_page_says_so_and_comes_back_by_itself(page):
    page.watch.expect("ERR_INTERNET_DISCONNECTED")
    page.goto("/status")
    settled(page)
    page.context.set_offline(True)
    expect(page.get_by_text("No answer from the service, trying again")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("No answer from the service, trying again")).to_be_hidden(timeout=30_000)


def test_on_a_phone_the_other_pages_are_behind_more(window, service):
    page = window(service.address, viewport=PHONE, has_touch=True, is_mobile=True)
    page.goto("/status")
    settled(page)
    page.get_by_role("button", name="More").click()
    page.get_by_role("dialog").get_by_role("link", name="Model").click()
    expect(page).to_have_url(re.compile(r"/models$"))
    expect(page.get_by_role("dialog")).to_be_hidden()
