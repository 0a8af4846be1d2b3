import json
import re
import shutil
import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml
from told_metrics import told_samples

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((DEPLOY / "grafana" / "kinema.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SCRAPED = {"job", "instance"}
SAMPLES = told_samples()


def selectors(node):
    """Every metric that an expression reads, with its matchers."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        inner = getattr(node, name, None)
        if inner is not None:
            yield from selectors(inner)
    for one in getattr(node, "args", None) or ():
        yield from selectors(one)


def read_metrics(text):
    return [
        (one.name, {matcher.name for matcher in one.matchers.matchers}) for one in selectors(promql_parser.parse(text))
    ]


def check_known(text):
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    found = read_metrics(text)
    assert found, text
    for name, labels in found:
        if name in recorded | {"up"}:
            continue
        assert name in SAMPLES, f"no such metric: {name}"
        assert labels <= SAMPLES[name] | SCRAPED, f"{name} has no such label: {labels}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_reads_metrics_that_the_service_tells(rule):
    check_known(rule["expr"])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_reads_metrics_that_the_service_tells(panel):
    for target in panel["targets"]:
        check_known(target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*"))


def test_what_annotations_and_variables_read_is_told_too():
    for one in DASHBOARD["annotations"]["list"]:
        check_known(one["expr"])
    asked = [one["definition"] for one in DASHBOARD["templating"]["list"] if "definition" in one]
    assert [re.fullmatch(r"label_values\((\w+), instance\)", one)[1] in SAMPLES for one in asked] == [True]


def test_a_metric_that_is_not_told_is_found_out():
    with pytest.raises(AssertionError, match="no such metric: kinema_none"):
        check_known("sum(rate(kinema_none[5m])) > 0")
    with pytest.raises(AssertionError, match="kinema_slates_total has no such label"):
        check_known('kinema_slates_total{colour="red"}')
    with pytest.raises(AssertionError, match="no such metric: kinema_none"):
        check_known("kinema_slates_total / on() (kinema_none offset 1d)")


def test_every_metric_of_ours_is_watched_or_drawn():
    texts = [rule["expr"] for rule in RULES] + [target["expr"] for panel in PANELS for target in panel["targets"]]
    read = {
        name
        for text in texts
        for name, _ in read_metrics(text.replace("$__rate_interval", "5m").replace("$instance", ".*"))
    }
    own = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in SAMPLES if name.startswith("kinema_")}
    own -= {name.removesuffix("_total") for name in own if name.endswith("_total")}
    read = {re.sub(r"_bucket$", "", name) for name in read}
    assert own - read == set()


def test_alerts_say_how_bad_it_is_and_what_to_do():
    alerts = [rule for rule in RULES if "alert" in rule]
    handbook = (DEPLOY.parent / "docs" / "operations.md").read_text()
    for rule in alerts:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert f"`{rule['alert']}`" in handbook


def test_panels_lie_beside_one_another():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed; apt-get install prometheus")
def test_rules_say_what_they_are_to_say_of_a_made_up_past():
    words = ["promtool", "test", "rules", "alerts_test.yaml"]
    done = subprocess.run(words, cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
