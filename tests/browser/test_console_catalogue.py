import re

from playwright.sync_api import expect

from browser_window import settled, soon


def test_an_uploaded_clip_becomes_searchable(page, service, town):
    clip = next((town.parent / "town" / "videos").glob("v0007.*"))
    page.watch.expect("/v1/items/browser-upload", "/v1/items/v0007")  # whether there is such an item already
    page.goto("/catalogue")
    settled(page)
    page.get_by_role("button", name="Upload clips").click()
    dialog = page.get_by_role("dialog", name="Upload clips")
    dialog.locator("input[type=file]").set_input_files(clip)
    dialog.get_by_label("Title").fill("Zebras on a unicycle")
    dialog.get_by_label("Id", exact=True).fill("browser-upload")
    dialog.get_by_role("button", name="Upload 1 clip").click()
    expect(page.get_by_text("recommendable", exact=True).first).to_be_visible(timeout=60_000)
    soon(
        page,
        lambda: service.http.get("/v1/search", params={"q": "zebras unicycle"}).json()["items"],
        lambda items: "browser-upload" in [one["item_id"] for one in items],
    )
    page.goto("/search?q=zebras%20unicycle")
    expect(page.get_by_role("link", name="Zebras on a unicycle").first).to_be_visible()


def test_the_table_is_searched_and_filtered_by_its_address(page):
    page.goto("/catalogue")
    settled(page)
    page.get_by_role("searchbox", name="Search the catalogue").fill("guitarist")
    rows = page.get_by_role("row").filter(has_text="guitarist")
    expect(rows.first).to_be_visible()
    expect(page).to_have_url(re.compile("guitarist"))
    page.reload()
    settled(page)
    expect(page.get_by_role("row").filter(has_text="guitarist").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\d+ of \d+ items$"))).to_be_visible()
