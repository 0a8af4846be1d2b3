"""For people a click model's calibration is a short table: the whole, and where it is furthest off."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from kinema.cli.robustness import show_slices
from kinema.steps.click_calibration import SliceError


def test_people_see_the_worst_slices_and_where_the_others_are():
    def off(by):
        return SliceError(100, 0.2, 0.05, 0.04, 0.03, by)

    slices = {
        "all": {"all": off(0.001)},
        "place": {str(place): off(0.01 * place) for place in range(10)},
        "device": {"tv": off(0.5), "phone": off(0.0)},
    }
    console = Console(width=150, file=StringIO())
    show_slices(console, slices, report=Path("shop") / "facts.json")
    lines = console.file.getvalue().splitlines()
    shown = [line.split("  ")[0] for line in lines[2:-1]]
    assert shown == ["all", "device=tv", "place=10 or later", *(f"place={place}" for place in range(9, 3, -1))]
    assert lines[-1].strip() == "furthest off beyond chance first; 4 more in the report: shop/facts.json"


def test_few_slices_are_all_shown():
    console = Console(width=150, file=StringIO())
    show_slices(console, {"all": {"all": SliceError(100, 0.2, 0.05, 0.04, 0.03, 0.0)}}, report=Path("x"))
    assert "more in the report" not in console.file.getvalue()
