import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from kinema.errors import DataError
from kinema.evaluation.prediction_plots import _thinned, precision_recall_plot, reliability_plot, roc_plot
from kinema.metrics.calibration import reliability
from kinema.metrics.classification import auc, roc_curve

EVIL = "<script>alert(1)</script> $\\frac{1$"


@pytest.fixture(scope="module")
def answers():
    random = np.random.default_rng(0)
    probs = random.beta(1, 3, 20_000)
    return probs, (random.random(20_000) < probs).astype(int)


@pytest.fixture(scope="module")
def plots(answers):
    table = reliability(*answers)
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra report")
    return {
        "Reliability of the probabilities": reliability_plot({"before": table, EVIL: table}),
        "ROC curve": roc_plot({EVIL: answers}),
        "Precision and recall": precision_recall_plot({"click": answers, "_like": answers}),
    }


def test_each_plot_is_one_small_element_with_a_name_and_the_colour_of_the_page(plots):
    for label, svg in plots.items():
        assert ET.fromstring(svg).get("aria-label") == label
        assert "currentColor" in svg
        assert "#010203" not in svg
        assert len(svg) < 60_000


def test_names_are_escaped_and_read_as_text(plots):
    for label in ("Reliability of the probabilities", "ROC curve"):
        assert "<script" not in plots[label]
        assert "&lt;script&gt;" in plots[label]
    assert "like" in plots["Precision and recall"]


def test_the_legend_of_a_roc_curve_has_the_area_below_it(plots, answers):
    assert f"AUC {auc(*answers):.4f}" in plots["ROC curve"]


def test_plots_of_one_page_refer_to_ids_of_their_own(plots):
    ids = [one for svg in plots.values() for one in re.findall(r' id="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))


def test_thinning_keeps_the_area_below_the_curve(answers):
    probs, labels = answers
    wrong, found = _thinned(*roc_curve(probs, labels))
    assert len(wrong) < 1000
    assert (wrong[-1], found[-1]) == (1.0, 1.0)
    assert np.trapezoid(found, wrong) == pytest.approx(auc(probs, labels), abs=0.002)


@pytest.mark.parametrize("plot", [reliability_plot, roc_plot, precision_recall_plot])
def test_a_plot_of_nothing_is_refused(plot):
    with pytest.raises(DataError, match="at least one curve, got none"):
        plot({})
