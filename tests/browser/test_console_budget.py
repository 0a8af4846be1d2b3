"""Small and quick: what the console costs a browser. `benchmarks/console.py` writes the real numbers."""

import pytest

from browser_window import PAGES, settled

MOST_SCRIPT = 300_000
FIRST_PAINT_MS = 1000
LOADED = 4
"""A machine on which other tests run is slower than the one that is meant."""
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


@pytest.mark.parametrize("name", list(PAGES))
def test_a_page_fetches_less_than_300_kb_of_script_and_paints_soon(page, name):
    page.watch.expect("/profile")  # of a new visitor nothing is known
    sizes = {}
    page.on("requestfinished", lambda request: sizes.setdefault(request.url, request.sizes()["responseBodySize"]))
    page.goto(PAGES[name])
    settled(page)
    page.wait_for_load_state("networkidle")
    scripts = {url: size for url, size in sizes.items() if url.endswith(".js")}
    assert scripts
    assert sum(scripts.values()) < MOST_SCRIPT
    assert page.evaluate(PAINT) < LOADED * FIRST_PAINT_MS
