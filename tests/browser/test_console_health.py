import json
import re

from playwright.sync_api import expect

from browser_window import settled

ALERT = {
    "name": "KinemaErrors",
    "severity": "critical",
    "state": "firing",
    "summary": "More than 1 % of the requests fail",
    "description": "5.20% of the requests ended in 5xx; the log has their request ids.",
    "labels": {},
    "value": 0.052,
    "since_ms": 1_700_000_000_000,
    "hold_seconds": 300.0,
}


def health(page):
    page.goto("/status")
    settled(page)
    expect(page.get_by_role("heading", name="Requests", exact=True)).to_be_visible(timeout=30_000)


def test_all_plots_and_rules_are_there(page, service):
    service.http.get("/v1/users/u00001/recommendations")
    health(page)
    expect(page.get_by_role("status").filter(has_text=re.compile("^(All is well|Well, with)"))).to_be_visible()
    for plot in ("Time to recommend", "Where the time goes", "Errors", "Event lag", "Freshness", "Queues", "Coverage"):
        expect(page.get_by_role("heading", name=plot)).to_be_visible()
    for plot in ("Events", "New items", "Click rate", "Watch time"):
        expect(page.get_by_role("heading", name=plot, exact=True)).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(13)


def test_a_plot_can_be_read_as_a_table(page):
    health(page)
    panel = page.get_by_role("region", name="Requests", exact=True)
    panel.get_by_role("button", name="Show as a table").click()
    expect(panel.get_by_role("columnheader").first).to_have_text("Time")
    expect(panel.get_by_role("cell").first).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))


def test_what_is_asked_now_is_seen_soon(page, service):
    health(page)
    told = page.get_by_text(re.compile(r"[\d.]+ requests a second in the last five minutes"))
    expect(told).to_be_visible()
    page.get_by_text("1 h", exact=True).click()
    expect(page).to_have_url(re.compile("minutes=60"))
    for _ in range(40):
        service.http.get("/v1/users/u00001/recommendations")
    before = told.inner_text()
    expect(told).not_to_have_text(before, timeout=30_000)


def test_an_alert_says_since_when_and_what_to_do(page):
    def firing(route):
        route.fulfill(status=200, content_type="application/json", body=json.dumps({"process": 1, "alerts": [ALERT]}))

    page.route("**/v1/health/alerts", firing)
    health(page)
    expect(page.get_by_role("heading", name="More than 1 % of the requests fail", level=2)).to_be_visible()
    note = page.get_by_role("article", name="More than 1 % of the requests fail")
    expect(note).to_contain_text("critical")
    expect(note).to_contain_text("5.2%")
    expect(note).to_contain_text(re.compile(r"for [\d,.]+ days"))
    expect(note).to_contain_text("What to do: Look at the log for level=error")
