import re

import pytest
from playwright.sync_api import expect

from browser_window import settled


def found(page):
    return page.get_by_role("region", name="Clips found")


def test_clips_are_found_as_one_types_and_each_says_why(page):
    page.goto("/search")
    settled(page)
    page.get_by_role("searchbox").press_sequentially("guitar", delay=30)
    clip = found(page).get_by_role("article").filter(has_text="guitar").first
    expect(clip).to_be_visible()
    expect(clip.get_by_role("img", name=re.compile("^What speaks for it"))).to_be_visible()
    expect(page).to_have_url(re.compile(r"q=guitar"))


def test_a_filter_holds_for_every_clip_and_is_kept_in_the_address(page):
    page.goto("/search?q=the")
    settled(page)
    box = page.get_by_role("checkbox", name=re.compile("^sport"))
    page.get_by_text(re.compile(r"^sport")).first.click()
    expect(box).to_be_checked()
    expect(found(page).get_by_role("article").first).to_contain_text("sport")
    page.reload()
    settled(page)
    expect(page.get_by_role("checkbox", name=re.compile("^sport"))).to_be_checked()
    expect(found(page).get_by_role("article").first).to_contain_text("sport")


def test_a_picture_finds_the_clip_it_comes_from(page, service, tmp_path):
    picture = tmp_path / "frame.jpg"
    picture.write_bytes(service.http.get("/v1/items/v0001/frames/1").content)
    title = service.http.get("/v1/items/v0001").json()["title"]
    page.goto("/search")
    settled(page)
    page.locator("input[type=file]").first.set_input_files(picture)
    expect(found(page).get_by_role("article").filter(has_text=title).first).to_be_visible(timeout=30_000)


@pytest.mark.parametrize("words", ["<script>alert(1)</script>", "%00", "guitar" * 200])
def test_odd_words_are_words(page, words):
    page.watch.expect("/v1/search")  # what is refused is said by the page, not thrown
    page.goto("/search")
    settled(page)
    page.get_by_role("searchbox").fill(words)
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("heading", name="Search", level=1)).to_be_visible()
