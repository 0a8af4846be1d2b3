import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from kinema.errors import DataError
from kinema.evaluation import report
from kinema.evaluation.baselines.popularity import fit_popularity
from kinema.evaluation.baselines.random_order import RandomRanker
from kinema.evaluation.environment import run_facts
from kinema.evaluation.offline import chance_level, evaluate
from kinema.evaluation.plots import curve_plot
from kinema.evaluation.protocol import FunctionRanker
from kinema.evaluation.report import ExampleUser, ReportData, write_json, write_report
from kinema.evaluation.slices import by_history_length, by_target_count, slice_values
from kinema.evaluation.tables import accuracy_lines, differences, summary_rows, verdict
from kinema.schema import SlateItem
from kinema.store.histories import Histories
from kinema.store.splits import cold

NUM_ITEMS = 30
ATTACK = '<script>alert("x")</script>'
EVIL = f"it's {ATTACK} $\\frac{{1$ \u6620\u753b & more"


@pytest.fixture(scope="module")
def split():
    random = np.random.default_rng(1)
    lists = [random.choice(NUM_ITEMS, random.integers(3, 9), replace=False) for _ in range(120)]
    return cold(Histories.from_lists(lists, NUM_ITEMS), share=0.2, seed=0)


@pytest.fixture(scope="module")
def results(split):
    answers = np.zeros((120, NUM_ITEMS), dtype=np.float32)
    answers[split.test.users_C, split.test.targets.items] = 2

    def half(cases):
        return RandomRanker(8).score(cases) + answers[cases.users_C] * (cases.users_C % 2)[:, None]

    rankers = (
        FunctionRanker("FLM", half),
        fit_popularity(split.train),
        RandomRanker(),
        FunctionRanker(EVIL, lambda cases: answers[cases.users_C]),
    )
    content = np.eye(NUM_ITEMS)
    found = [evaluate(ranker, split.test, split, content_VD=content, num_resamples=200) for ranker in rankers]
    return [*found, chance_level(split.test, split, num_resamples=200)]


@pytest.fixture(scope="module")
def data(split, results):
    slate = [SlateItem("7", ATTACK, 0, 1.0, reason=f"because of {ATTACK}"), SlateItem("8", "", 1, 0.5)]
    return ReportData(
        title=f"Report {ATTACK}",
        results=results,
        reference="FLM",
        run={**run_facts(command="kinema evaluate", seed=0), "note": ATTACK},
        data={
            "sparsity": 0.9371,
            "nothing": None,
            "events": 123456,
            "undefined": float("nan"),
            "large": 1234.5,
            "f": True,
        },
        split_facts=split.facts,
        ceiling=EVIL,
        config={"width": 64, "text": ATTACK},
        tuned={"popularity": {}, "item-kNN": {"decay": 0.5, "kind": ATTACK}},
        curves=[
            {"epoch": 1, "loss": 5.0, "loss_content": 1.0, "seconds": 2.0},
            {"epoch": 2, "loss": 4.0, "loss_content": 0.5, "valid_ndcg@10": 0.1, "seconds": 4.0},
        ],
        examples=[
            ExampleUser(ATTACK, [ATTACK] * 12, slate, targets=["8"], target_titles=[ATTACK], profile={"from": ATTACK}),
            ExampleUser("new", [], slate),
        ],
        slicings=[
            by_history_length(split.test),
            by_target_count(split.test, split.train.item_counts()),
        ],
        notes=[f"a note {ATTACK}"],
    )


@pytest.fixture(scope="module")
def page(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, data)
    return path.read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Tags, attributes and text of a page; fails on tags that are closed in the wrong order."""

    VOID = frozenset({"meta", "br", "link", "img", "path", "use", "stop"})

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend((tag, name, value or "") for name, value in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend((tag, name, value or "") for name, value in attrs)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, text):
        self.text.append(text)


@pytest.fixture(scope="module")
def outline(page):
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_a_title_with_a_script_stays_text(page, outline):
    assert "script" not in outline.tags
    assert ATTACK not in page
    assert "".join(outline.text).count(ATTACK) >= 20
    assert not [name for _, name, _ in outline.attributes if name.startswith("on")]


def test_the_page_asks_nobody_for_anything(outline):
    assert not {"script", "iframe", "object", "link", "img", "image"} & set(outline.tags)
    links = [value for _, name, value in outline.attributes if name in {"src", "href", "xlink:href", "action"}]
    assert all(value.startswith("#") for value in links)
    policy = [value for tag, name, value in outline.attributes if tag == "meta" and name == "content"]
    assert "default-src 'none'; style-src 'unsafe-inline'" in policy


def test_no_style_reaches_out_of_the_page(page):
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))


def test_tables_have_captions_and_scoped_headers(outline):
    assert outline.tags.count("table") == outline.tags.count("caption") >= 8
    scopes = [value for tag, name, value in outline.attributes if tag == "th" and name == "scope"]
    assert len(scopes) == outline.tags.count("th")
    assert set(scopes) == {"row", "col"}


def test_every_ranker_metric_and_row_is_there(page, outline, results):
    text = " ".join("".join(outline.text).split())
    for result in results:
        assert " ".join(result.name.split()) in text
    for part in (
        "NDCG@10",
        "Recall@10",
        "MRR@10",
        "MAP@10",
        "Hit rate@10",
        "Precision@10",
        "Warm:",
        "Cold:",
        "Cold among cold:",
    ):
        assert part in text
    found = results[0].rows["all"].interval("ndcg@10")
    assert f"{found.mean:.4f}" in text
    assert f"{found.low:.4f}\N{EN DASH}{found.high:.4f}" in text
    assert "watched next" in text
    assert "nothing yet" in text


def test_plots_are_named_inline_and_take_the_colour_of_the_page(outline, page):
    labels = [value for tag, name, value in outline.attributes if tag == "svg" and name == "aria-label"]
    assert labels == [
        "NDCG@10 of every ranker, with 95 % intervals",
        "NDCG@10 on warm and cold targets, with 95 % intervals",
        "training loss",
        "validation",
    ]
    assert "#010203" not in page
    assert page.count("currentColor") > 20


def test_ids_within_the_page_are_unique_and_found(outline, page):
    ids = [value for _, name, value in outline.attributes if name == "id"]
    assert len(ids) == len(set(ids)) > 10
    references = re.findall(r'(?:href="|url\()#([^")]+)', page)
    assert set(references) <= set(ids)


def test_without_matplotlib_the_report_says_so_and_keeps_its_numbers(data, monkeypatch, tmp_path):
    monkeypatch.setattr(report, "is_installed", lambda module: False)
    write_report(tmp_path / "report.html", data)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Plots were left out: matplotlib is not installed" in page
    assert "<svg" not in page
    assert f"{data.results[0].rows['all'].mean('ndcg@10'):.4f}" in page


def test_the_json_twin_is_strict_and_holds_the_same_numbers(data, tmp_path):
    write_json(tmp_path / "report.json", data)
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert [one["name"] for one in document["results"]] == [one.name for one in data.results]
    mean = document["results"][0]["rows"]["warm"]["metrics"]["ndcg@10"]["mean"]
    assert mean == pytest.approx(data.results[0].rows["warm"].mean("ndcg@10"))
    assert document["split"]["protocol"] == "cold"
    assert {one["row"] for one in document["differences"]} == {"all", "warm", "cold", "cold among cold"}
    assert document["data"]["undefined"] is None


def test_numbers_of_numpy_become_numbers_of_json(tmp_path):
    facts = {"count": np.int64(3), "share": np.float32(0.5), "none": np.float64("nan"), "path": tmp_path}
    write_json(tmp_path / "r.json", ReportData(title="t", results=(), reference="FLM", data=facts))
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["data"]
    assert found == {"count": 3, "share": 0.5, "none": None, "path": str(tmp_path)}


def test_the_best_is_marked_among_those_that_compete(results):
    lines = {line.name: line for line in accuracy_lines(results, row="all", metrics=["ndcg@10"], ceiling=EVIL)}
    assert lines["FLM"].cells[0].mark == "best"
    assert lines["popularity"].cells[0].mark == ""
    assert lines[EVIL].bound
    assert lines["chance"].bound
    assert lines[EVIL].cells[0].mark == lines["chance"].cells[0].mark == ""


def test_what_cannot_be_told_from_the_best_is_a_tie_and_zero_is_never_best(split):
    twins = [evaluate(RandomRanker(0, name), split.test, split, num_resamples=100) for name in ("one", "two")]
    marks = [line.cells[0].mark for line in accuracy_lines(twins, row="all", metrics=["ndcg@10"])]
    assert marks == ["best", "tie"]
    nothing = FunctionRanker("nothing", lambda cases: np.zeros((len(cases), NUM_ITEMS), dtype=np.float32))
    lines = accuracy_lines([evaluate(nothing, split.test, split)], row="all", metrics=["ndcg@10"])
    assert lines[0].cells[0].mark == ""


def test_the_verdict_is_honest_in_every_direction(results, split):
    flm = results[0]
    assert "FLM reaches NDCG@10" in verdict(results, reference="FLM", metric="ndcg@10", ceiling=EVIL)
    assert "clearly better than" in verdict(results, reference="FLM", metric="ndcg@10", ceiling=EVIL)
    assert "clearly worse than" in verdict(results, reference="random", metric="ndcg@10", ceiling=EVIL)
    same = evaluate(RandomRanker(1, "other"), split.test, split, num_resamples=200)
    assert "not told apart from" in verdict([results[2], same], reference="random", metric="ndcg@10")
    assert verdict([flm], reference="FLM", metric="ndcg@10") == ""
    assert verdict(results, reference="absent", metric="ndcg@10") == ""


def test_terminal_rows_share_their_keys_and_mark_the_best(results):
    rows = summary_rows(results, metrics=("ndcg@10",), ceiling=EVIL)
    assert [list(row) for row in rows] == [
        ["ranker", "all NDCG@10", "warm NDCG@10", "cold NDCG@10", "cold among cold NDCG@10", "ms/case"]
    ] * len(results)
    assert rows[0]["all NDCG@10"].endswith(" *")
    assert rows[-1]["ms/case"] == ""
    assert list(summary_rows(results, metrics=("ndcg@10",), min_cases=10**9)[0]) == ["ranker", "ms/case"]


def test_differences_are_those_of_the_reference(results):
    found = differences(results, reference="FLM", row="warm", metric="ndcg@10")
    assert [one.reference for one in found] == [result.name for result in results[1:]]
    assert {one.ranker for one in found} == {"FLM"}
    assert differences(results, reference="absent", row="warm", metric="ndcg@10") == []


def test_slices_are_the_cases_grouped(split, results):
    counts = split.train.item_counts()
    slicing = by_target_count(split.test, counts, edges=(1, 10))
    values = slice_values(results[0], slicing, num_resamples=10)
    assert sum(one.num_cases for one in values) == len(split.test)
    assert values[0].label == "0"
    assert values[0].interval.mean == pytest.approx(results[0].rows["cold"].mean("ndcg@10"))
    seen = counts[split.test.targets.items]
    assert [one.num_cases for one in values] == [
        (seen == 0).sum(),
        ((seen > 0) & (seen < 10)).sum(),
        (seen >= 10).sum(),
    ]


def test_slices_of_other_cases_are_refused(split, results):
    slicing = by_history_length(split.valid.take(np.arange(3)))
    with pytest.raises(DataError, match="must group the 120 cases of 'FLM', groups 3"):
        slice_values(results[0], slicing)


def test_notes_follow_from_protocol_and_results(data, split):
    sick = evaluate(
        FunctionRanker("sick", lambda cases: np.full((len(cases), NUM_ITEMS), np.nan, dtype=np.float32)),
        split.test,
        split,
    )
    broken = ReportData(
        title="t",
        results=[sick],
        reference="FLM",
        split_facts={"protocol": "temporal", "test_targets_before_their_publication": 3},
    )
    notes = " ".join(broken.all_notes())
    assert "Nothing was fitted on anything that happened after a question" in notes
    assert "3 test targets were watched before their recorded publication" in notes
    assert f"'sick' gave {sick.num_invalid} scores that are NaN" in notes
    own = " ".join(data.all_notes())
    assert "Held-out items were taken out of all training" in own
    assert "cases have a cold target: read the cold rows by their intervals" in own
    assert "knows the true probabilities of the generated service" in own
    assert own.endswith(f"a note {ATTACK}")


def test_run_facts_name_versions_and_machine_but_nobody():
    facts = run_facts(command="kinema evaluate", seed=3)
    assert list(facts) == ["command", "seed", "date", "versions", "machine"]
    assert "numpy" in facts["versions"]


def test_a_curve_with_gaps_is_drawn_through_the_points_it_has():
    svg = curve_plot([{"epoch": 1, "a": 1.0}, {"epoch": 2}, {"epoch": 3, "a": 2.0}], keys=["a"], label="curve")
    assert svg.startswith('<svg role="img" aria-label="curve"')
    assert svg.rstrip().endswith("</svg>")
