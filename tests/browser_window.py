"""Debian's chromium, driven by Playwright: how it is started, and a watch on what a page does that it must not."""

import os
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

CHROMIUM = Path(os.environ.get("KINEMA_CHROMIUM", "/usr/bin/chromium"))
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
PAGES = {
    "for-you": "/",
    "search": "/search?q=guitar",
    "item": "/items/v0001",
    "user": "/users/u00001",
    "catalogue": "/catalogue",
    "scenarios": "/scenarios",
    "model": "/models",
    "health": "/status",
}
"""Every page by its name, with something on it."""


class Watch:
    """What a page has done that it must not do.

    Args:
        origin: Where everything has to come from.
    """

    def __init__(self, origin):
        self._origin = urlsplit(origin)[:2]
        self.foreign, self.errors, self.expected = [], [], []

    def look_at(self, page):
        page.route("**/*", self._pass)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))

    def expect(self, *texts):
        """What the test itself brings about: an answer that is an error is written to the console by the browser."""
        self.expected += texts

    def _pass(self, route):
        to = urlsplit(route.request.url)
        if to.scheme in {"data", "blob"} or to[:2] == self._origin:
            route.continue_()
        else:
            self.foreign.append(route.request.url)
            route.abort()

    def _listen(self, message):
        if message.type in {"error", "warning"}:
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    @property
    def unexpected(self):
        return [one for one in self.errors if not any(text in one for text in self.expected)]


@contextmanager
def browser():
    """A browser that is closed at the end."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # skipped where it is not installed

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        try:
            yield made
        finally:
            made.close()


def soon(page, ask, holds, *, seconds=20):
    """Ask until something holds of the answer; what a page did reaches the store a moment later.

    The page goes on meanwhile: its requests pass through this process, and would wait for as long as it sleeps.
    """
    end = time.monotonic() + seconds
    while not holds(told := ask()):
        assert time.monotonic() < end, told
        page.wait_for_timeout(100)
    return told


def settled(page):
    """Wait until the page has its heading and nothing on it is being loaded."""
    page.locator("main h1").first.wait_for()
    page.wait_for_function("() => !document.querySelector('main [role=status][aria-label=Loading], main .skeletons')")
    return page
