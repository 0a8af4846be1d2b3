"""What the console's source must be so that it builds the same everywhere and asks nobody else."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
BUILT = ROOT / "src" / "kinema" / "serving" / "console"


def test_packages_are_pinned_and_named_without_addresses():
    package = json.loads((WEB / "package.json").read_text("utf-8"))
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["devDependencies"].values())
    lock = json.loads((WEB / "package-lock.json").read_text("utf-8"))
    assert not any("resolved" in row for row in lock["packages"].values())
    assert all("integrity" in row for name, row in lock["packages"].items() if name and not row.get("link"))


def test_the_start_page_has_no_inline_script_or_style_and_names_no_other_origin():
    page = (BUILT / "index.html").read_text("utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page)
    assert not re.search(r"(src|href)=\"(?!/)", page)


def test_components_have_no_style_in_their_markup():
    for path in sorted((WEB / "src").rglob("*.svelte")):
        assert not re.search(r"\sstyle=[\"{]|\{@html", path.read_text("utf-8")), path


def test_both_languages_have_a_file_for_each_page():
    names = [
        sorted(one.name for one in (WEB / "src" / "lib" / "i18n" / language).iterdir()) for language in ("en", "zh")
    ]
    assert names[0] == names[1]
