"""What the console costs a browser: script and first paint of every page, on loopback.

    python benchmarks/console.py [--project demo/project] [--rounds 5]

Each page is opened with an empty cache, so many times; the median of the first contentful paint counts. The budget is 300 kB of
compressed script a page and a second to the first paint. Writes ``results/console.json``; the exit code is 1 over the budget.
"""

import argparse
import gzip
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

import console_service
import kinema.serving

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from browser_window import DESKTOP, PAGES, browser, settled  # found by the line above

RESULT: Final = Path(__file__).parent / "results" / "console.json"
MOST_SCRIPT: Final = 300_000
MOST_MS: Final = 1000
TIMES: Final = """() => {
    const [page] = performance.getEntriesByType('navigation')
    const paint = performance.getEntriesByName('first-contentful-paint')[0]
    return { paint: paint.startTime, loaded: page.domContentLoadedEventEnd }
}"""


def measure(chromium: Any, address: str, path: str) -> dict[str, float]:
    """Open a page with nothing in the cache."""
    context = chromium.new_context(viewport=DESKTOP, locale="en-GB", base_url=address)
    page, sizes = context.new_page(), {}
    page.on("requestfinished", lambda asked: sizes.setdefault(asked.url, asked.sizes()["responseBodySize"]))
    page.goto(path)
    settled(page)
    page.wait_for_load_state("networkidle")
    told = page.evaluate(TIMES)
    context.close()
    return {
        "first_paint_ms": told["paint"],
        "script_bytes": sum(size for url, size in sizes.items() if url.endswith(".js")),
        "requests": len(sizes),
    }


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--project", type=Path, default=Path("demo/project"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    files = sorted((Path(kinema.serving.__file__).parent / "console").rglob("*.js"))
    pages = {}
    with console_service.served_copy(options.project) as service, browser() as chromium:
        version = chromium.version
        for name, path in PAGES.items():
            rounds = [measure(chromium, service.address, path) for _ in range(options.rounds)]
            pages[name] = {key: round(median(one[key] for one in rounds)) for key in rounds[0]}
            print(name, pages[name], flush=True)
    report = {
        "what": "median of so many rounds with an empty cache, on loopback; script as it is sent, compressed",
        "rounds": options.rounds,
        "pages": pages,
        "all_script_bytes": sum(len(gzip.compress(one.read_bytes(), 9)) for one in files),
        "browser": f"chromium {version}",
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).date().isoformat(),
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    over = [name for name, one in pages.items() if one["script_bytes"] > MOST_SCRIPT or one["first_paint_ms"] > MOST_MS]
    print("over the budget: " + ", ".join(over) if over else "within the budget")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
