"""States that one seldom sees: something dropped or pasted, nothing there, nobody answering, a key that may only look."""

import base64

import pytest
from playwright.sync_api import expect

from browser_window import PAGES, settled
from kinema.project import Project
from kinema.serving.keys import create_key, revoke_key
from running_service import RunningService

KEPT_MS = 3_500
"""So long a service may go on with what it knows of a key."""
GIVE = """([content, name, type, how]) => {
    const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0))
    const given = new DataTransfer()
    given.items.add(new File([bytes], name, { type }))
    const kept = { bubbles: true, cancelable: true }
    const main = document.querySelector('main')
    if (how === 'paste') main.dispatchEvent(new ClipboardEvent('paste', { clipboardData: given, ...kept }))
    else for (const kind of ['dragenter', 'dragover', 'drop'].slice(0, how === 'drop' ? 3 : 2))
        main.dispatchEvent(new DragEvent(kind, { dataTransfer: given, ...kept }))
}"""


def give(page, content, name, kind, how):
    page.evaluate(GIVE, [base64.b64encode(content).decode(), name, kind, how])


def found(page):
    return page.get_by_role("region", name="Clips found").get_by_role("article")


def failures(page):
    """What says that it could not be had; a key that may not is another matter."""
    return page.locator(".notice.bad")


@pytest.fixture(scope="module")
def nothing(tmp_path_factory):
    """A service whose catalogue is empty."""
    folder = tmp_path_factory.mktemp("nothing") / "shop"
    Project.init(folder).close()
    with RunningService(folder) as running:
        yield running


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_picture_that_is_given_finds_the_clip_it_comes_from(page, service, how):
    picture = service.http.get("/v1/items/v0001/frames/1").content
    title = service.http.get("/v1/items/v0001").json()["title"]
    page.goto("/search")
    settled(page)
    if how == "drop":
        give(page, picture, "frame.jpg", "image/jpeg", "drag")
        expect(page.get_by_text("Drop it to search with it")).to_be_visible()
    give(page, picture, "frame.jpg", "image/jpeg", how)
    expect(page.get_by_text("Your picture")).to_be_visible()
    expect(found(page).filter(has_text=title).first).to_be_visible(timeout=30_000)


def test_a_pasted_clip_finds_itself_and_a_text_is_refused(page, service, town):
    clip = next((town.parent / "town" / "videos").glob("v0007.*"))
    title = service.http.get("/v1/items/v0007").json()["title"]
    page.goto("/search")
    settled(page)
    give(page, b"hello", "note.txt", "text/plain", "drop")
    expect(page.get_by_text("note.txt is neither a picture nor a clip")).to_be_visible()
    give(page, clip.read_bytes(), clip.name, "video/mp4", "paste")
    expect(page.get_by_text("Your clip")).to_be_visible()
    expect(found(page).filter(has_text=title).first).to_be_visible(timeout=30_000)


def test_a_page_that_nobody_answered_for_is_there_once_somebody_does(page):
    page.watch.expect("ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "Failed to fetch")
    page.goto("/status")
    settled(page)
    page.context.set_offline(True)
    page.get_by_role("link", name="Catalogue").click()
    expect(page.get_by_text("The service does not answer")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="Catalogue", level=1)).to_be_visible(timeout=30_000)
    settled(page)
    expect(page.get_by_role("row").nth(1)).to_be_visible()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "No clips yet"),
        ("/search?q=otters", "There is nothing to search yet."),
        ("/catalogue", "No items yet"),
        ("/catalogue?tab=rejects", "Nothing was rejected"),
        ("/users", "No users yet"),
        ("/models", "No model yet"),
    ],
)
def test_an_empty_catalogue_says_what_to_do(window, nothing, path, text):
    page = window(nothing.address)
    page.watch.expect("/v1/")  # what is not built yet is answered so
    page.goto(path)
    settled(page)
    expect(page.get_by_text(text).first).to_be_visible()
    expect(failures(page)).to_have_count(0)


def test_a_key_that_may_only_read_can_open_every_page_and_change_nothing(window, guarded, keys):
    page = window(guarded.address)
    page.watch.expect("/v1/")  # 401 before signing in, 403 for what the key may not
    page.goto("/catalogue")
    page.get_by_label("Key").fill(keys["reader"])
    page.get_by_role("button", name="Sign in").click()
    settled(page)
    expect(page.get_by_role("button", name="Upload clips")).to_be_disabled()
    expect(page.get_by_text("Changes need the scope “write”.").first).to_be_visible()
    for path in PAGES.values():
        page.goto(path)
        settled(page)
        expect(failures(page)).to_have_count(0)
    page.goto("/models")
    expect(page.get_by_text("It needs the scope “admin”.")).to_be_visible()
    page.goto("/scenarios/home")
    expect(page.get_by_text("This key may look and try, but not save.")).to_be_visible()


def test_a_session_that_has_ended_is_said_and_the_next_one_goes_on_at_the_same_page(window, guarded, keys, town):
    page = window(guarded.address)
    page.watch.expect("/v1/")  # 401 before signing in, and once the key is revoked
    with Project.open(town) as project:
        key, secret = create_key(project.store, name="for a moment", scopes=("read",))
    page.goto("/catalogue?tab=rejects")
    page.get_by_label("Key").fill(secret)
    page.get_by_role("button", name="Sign in").click()
    settled(page)
    with Project.open(town) as project:
        revoke_key(project.store, key.id)
    page.wait_for_timeout(KEPT_MS)
    page.locator("nav").first.get_by_role("link", name="Scenarios").click()
    expect(page.get_by_text("Your session has ended. Please sign in again.")).to_be_visible()
    page.get_by_label("Key").fill(keys["reader"])
    page.get_by_role("button", name="Sign in").click()
    settled(page)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(failures(page)).to_have_count(0)
