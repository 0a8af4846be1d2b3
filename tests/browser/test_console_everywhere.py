"""What holds of every page: it can be used by everybody, fits every screen, and is told nothing by anybody else."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser_window import DESKTOP, PAGES, PHONE, settled

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SMALLEST = {"width": 360, "height": 740}
LARGEST = {"width": 3840, "height": 2160}
RUN_AXE = """async () => {
    const { violations } = await axe.run(document, { resultTypes: ['violations'] })
    return violations
        .filter((one) => one.impact === 'serious' || one.impact === 'critical')
        .map((one) => one.id + ': ' + one.nodes.map((node) => node.target.join(' ')).slice(0, 5).join(', '))
}"""
WIDER = """() => {
    const wide = document.documentElement.clientWidth
    const cut = (element) => {
        for (let one = element.parentElement; one; one = one.parentElement) {
            const { overflowX } = getComputedStyle(one)
            if (overflowX !== 'visible' && one.getBoundingClientRect().right <= wide + 1) return true
        }
        return false
    }
    const seen = [...document.querySelectorAll('body *')].filter((one) => {
        const { right, width } = one.getBoundingClientRect()
        return width > 0 && right > wide + 1 && !cut(one) && getComputedStyle(one).position !== 'fixed'
    })
    const names = seen.slice(0, 5).map((one) => one.tagName + '.' + one.className)
    return document.documentElement.scrollWidth > wide ? ['page: ' + document.documentElement.scrollWidth, ...names] : names
}"""


@pytest.fixture(params=list(PAGES))
def name(request):
    return request.param


def opened(page, name):
    page.watch.expect("/profile")  # of a new visitor nothing is known
    page.goto(PAGES[name])
    return settled(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(window, service, name, scheme):
    if not AXE.is_file():
        pytest.skip("axe-core is not here: cd web && npm ci")
    page = opened(window(service.address, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True), name)
    page.evaluate(AXE.read_text())
    assert page.evaluate(RUN_AXE) == []


def test_nothing_is_wider_than_the_smallest_phone(window, service, name):
    page = opened(window(service.address, viewport=SMALLEST, has_touch=True, is_mobile=True), name)
    assert page.evaluate(WIDER) == []


def test_on_the_largest_screen_the_page_is_larger_and_fits(window, service, name):
    page = opened(window(service.address, viewport=LARGEST), name)
    assert page.evaluate(WIDER) == []
    assert page.evaluate("() => getComputedStyle(document.documentElement).fontSize") == "24px"
    assert page.locator("main").bounding_box()["width"] > LARGEST["width"] / 2


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_has_one_heading_a_title_and_words_of_its_language(window, service, name, viewport):
    page = opened(window(service.address, viewport=viewport, locale="zh-CN"), name)
    expect(page.locator("h1")).to_have_count(1)
    assert page.title().endswith("· Kinema")
    assert any("\u4e00" <= sign <= "\u9fff" for sign in page.locator("main").inner_text())


def test_the_policy_of_the_page_has_no_way_round(service):
    policy = service.http.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
