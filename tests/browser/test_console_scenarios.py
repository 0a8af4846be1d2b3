import re

import pytest
from playwright.sync_api import expect

from browser_window import settled


@pytest.fixture
def shelf(service):
    """A placement of this test's own."""
    names = iter(range(100))
    return lambda: f"shelf-{next(names)}-{id(names)}"


def rules_of(service, scenario):
    return service.http.get(f"/v1/scenarios/{scenario}").json()["rules"]


def variants_of(service, scenario):
    return [one["variant"] for one in service.http.get(f"/v1/scenarios/{scenario}").json()["variants"]]


def test_a_rule_is_edited_previewed_and_saved(page, service, shelf):
    name = shelf()
    service.http.put(f"/v1/scenarios/{name}", json={"rules": {"diversity": 0.1}}).raise_for_status()
    page.goto(f"/scenarios/{name}")
    settled(page)
    page.get_by_role("button", name="Add a cap").click()
    page.get_by_label("At most", exact=True).fill("1")
    preview = page.get_by_role("region", name="Preview")
    expect(preview.get_by_text(re.compile(r"\d+ entered"))).to_be_visible(timeout=20_000)
    assert rules_of(service, name) == {"diversity": 0.1}
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text(re.compile("^Saved as version 2"))).to_be_visible()
    assert rules_of(service, name) == {"diversity": 0.1, "caps": {"category": 1}}


def test_a_wrong_rule_is_marked_at_its_field_and_not_saved(page, service, shelf):
    name = shelf()
    page.watch.expect(f"/v1/scenarios/{name}")
    page.goto(f"/scenarios/{name}")
    settled(page)
    page.get_by_role("button", name="Add a cap").click()
    page.get_by_label("At most", exact=True).fill("0")
    field = page.get_by_label("At most", exact=True)
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    expect(field).to_have_value("0")
    assert service.http.get(f"/v1/scenarios/{name}").status_code == 404


def test_an_ab_test_is_started_and_stopped(page, service, shelf):
    name = shelf()
    page.watch.expect(f"/v1/experiments/{name}")  # nobody has met it yet: there is nothing to compare
    service.http.put(f"/v1/scenarios/{name}", json={"rules": {"diversity": 0.1}}).raise_for_status()
    page.goto(f"/scenarios/{name}")
    settled(page)
    page.get_by_role("button", name="Add a cap").click()
    page.get_by_label("At most", exact=True).fill("1")
    page.get_by_role("button", name="Test as A/B").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("At most 1 per category")
    dialog.get_by_role("button", name="Start the test").click()
    expect(page).to_have_url(re.compile("tab=experiment"))
    assert variants_of(service, name) == ["control", "b"]
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert variants_of(service, name) == []
