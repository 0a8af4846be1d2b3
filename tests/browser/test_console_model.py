import re

from playwright.sync_api import expect

from browser_window import settled, soon


def published(service):
    return next(one["id"] for one in service.http.get("/v1/models").json()["models"] if one["published"])


def test_a_model_is_rolled_back_with_a_confirmation(page, service):
    before = published(service)
    page.goto("/models")
    settled(page)
    page.get_by_role("button", name=re.compile("^Roll back to")).first.click()
    dialog = page.get_by_role("dialog", name="Let this version answer again?")
    assert published(service) == before
    dialog.get_by_role("button", name=re.compile("^Roll back to")).click()
    expect(dialog).to_be_hidden(timeout=20_000)
    after = soon(page, lambda: published(service), lambda version: version != before)
    service.http.post("/v1/models/rollback", json={"version": before}).raise_for_status()
    assert after != before


def test_the_map_of_the_catalogue_is_drawn(page):
    page.goto("/models?tab=map")
    settled(page)
    expect(page.get_by_text("Colour by")).to_be_visible(timeout=60_000)
