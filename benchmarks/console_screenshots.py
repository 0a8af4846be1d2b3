"""Pictures of every page of the console: desktop, phone, dark, on the generated town alone.

    python benchmarks/console_screenshots.py [--project demo/project] [--seconds 60] [--pages item model]

All of them go to ``build/console``; the six that the README shows go to ``docs/images/console``, with few colours and small.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from PIL import Image

import console_service

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from browser_window import DESKTOP, PAGES, PHONE, browser, settled  # found by the line above

ROOT: Final = Path(__file__).resolve().parents[1]
ALL, README = ROOT / "build" / "console", ROOT / "docs" / "images" / "console"
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "desktop": {"viewport": DESKTOP},
    "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True, "device_scale_factor": 2},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
}
IN_README: Final = ("for-you-desktop", "item-dark", "search-desktop", "rules-desktop", "model-desktop", "health-dark")
WIDTH: Final = 1200
SHOWN: Final = PAGES | {"for-you": "/?viewer=u00001", "rules": "/scenarios/home"}
SETTLE_MS: Final = 2500


def act(page: Any, name: str) -> None:
    """What makes a page worth looking at."""
    if name == "rules":
        page.get_by_role("button", name="Add a cap").click()
        page.get_by_label("At most", exact=True).fill("2")
        page.wait_for_timeout(SETTLE_MS)


def shrink(source: Path, target: Path) -> None:
    """A picture for the README: narrower, 128 colours."""
    with Image.open(source) as picture:
        small = picture.convert("RGB").resize((WIDTH, round(picture.height * WIDTH / picture.width)))
        small.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--project", type=Path, default=Path("demo/project"))
    parser.add_argument(
        "--seconds", type=float, default=60, help="of use before, so that there is something on the plots"
    )
    parser.add_argument("--pages", nargs="*", default=list(SHOWN))
    options = parser.parse_args()
    ALL.mkdir(parents=True, exist_ok=True)
    README.mkdir(parents=True, exist_ok=True)
    with console_service.served_copy(options.project) as service, browser() as chromium:
        console_service.use(service.http, seconds=options.seconds)
        for look, how in LOOKS.items():
            context = chromium.new_context(locale="en-GB", base_url=service.address, **how)
            for name in options.pages:
                page = context.new_page()
                page.goto(SHOWN[name])
                settled(page)
                page.wait_for_timeout(SETTLE_MS)
                act(page, name)
                file = ALL / f"{name}-{look}.png"
                page.screenshot(path=file)
                if file.stem in IN_README:
                    shrink(file, README / file.name)
                page.close()
            context.close()
    print(f"{len(options.pages) * len(LOOKS)} pictures in {ALL}, those of the README in {README}")


if __name__ == "__main__":
    main()
