import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from kinema.errors import ConfigError, DataError, StaleArtifactError
from kinema.metrics.calibration import calibration_error, calibration_noise
from kinema.metrics.classification import auc, log_loss
from kinema.metrics.slicing import by_slice
from kinema.ranking.calibrator_fit import METHODS, fit_calibrator
from kinema.ranking.calibrators import Calibrator, Scaling, Steps, calibrator_from_json, log_odds, sigmoid

DISTORTIONS = {
    "fair": lambda logits: logits,
    "too sure": lambda logits: 2.2 * logits,
    "says too much": lambda logits: 0.8 * logits + 1.5,
    "in doubt": lambda logits: 0.4 * logits - 0.5,
}


def planted(seed, size):
    """Slices whose model bends the true log-odds, each in its own way."""
    random = np.random.default_rng(seed)
    said, happened, slices = [], [], []
    for name, bend in DISTORTIONS.items():
        logits = random.normal(-1.2, 1.4, size)
        said.append(expit(bend(logits)))
        happened.append(random.random(size) < expit(logits))
        slices += [name] * size
    return np.concatenate(said), np.concatenate(happened).astype(int), np.array(slices)


@pytest.fixture(scope="module")
def world():
    return planted(0, 12_000), planted(1, 30_000)


@pytest.mark.parametrize("method", METHODS)
def test_on_held_out_rows_every_slice_is_calibrated_where_one_correction_for_all_is_not(world, method):
    (said, happened, slices), (new, outcome, where) = world
    per_slice = fit_calibrator(said, happened, slices, method=method).apply(new, where)
    together = fit_calibrator(said, happened, method=method).apply(new)
    errors = {name: one.value for name, one in by_slice(calibration_error, where, per_slice.probs_N, outcome).items()}
    assert set(errors) == set(DISTORTIONS)
    assert max(errors.values()) < 0.02
    assert max(one.value for one in by_slice(calibration_error, where, together.probs_N, outcome).values()) > 0.1
    assert max(one.value for one in by_slice(calibration_error, where, new, outcome).values()) > 0.1
    assert per_slice.unseen == {}


def test_a_planted_temperature_and_bias_are_found(world):
    (said, happened, slices), _ = world
    found = fit_calibrator(said, happened, slices).slices
    assert found["too sure"].temperature == pytest.approx(2.2, rel=0.05)
    assert found["says too much"].temperature == pytest.approx(0.8, rel=0.05)
    assert found["says too much"].bias == pytest.approx(-1.5 / 0.8, abs=0.1)


def test_scaling_is_the_minimum_of_the_log_loss(world):
    (said, happened, _), _ = world
    found = fit_calibrator(said, happened).overall
    best = log_loss(found.apply(said), happened)
    for temperature, bias in ((1.03, 0), (0.97, 0), (1, 0.05), (1, -0.05)):
        moved = Scaling(found.temperature * temperature, found.bias + bias)
        assert log_loss(moved.apply(said), happened) > best


def test_isotonic_pools_neighbours_that_fall():
    said, happened = np.repeat([0.1, 0.2, 0.3, 0.4], 25), np.repeat([0, 1, 0, 1], [20, 20, 30, 30])
    found = fit_calibrator(said, happened, method="isotonic").overall
    rates = [happened[said == one].mean() for one in (0.1, 0.2, 0.3, 0.4)]
    assert rates[1] > rates[2]
    assert found.apply(np.array([0.1, 0.2, 0.3])).tolist() == pytest.approx(
        [rates[0], *[(rates[1] + rates[2]) / 2] * 2]
    )


def test_isotonic_is_never_sure_however_sure_the_labels_are():
    found = fit_calibrator([0.1, 0.9], [0, 1], method="isotonic").overall
    assert found.apply(np.array([0.0, 1.0])).tolist() == [0.25, 0.75]


@pytest.mark.parametrize("method", METHODS)
def test_a_slice_of_few_rows_stays_near_the_common_correction_and_one_of_many_leaves_it(method):
    said, happened, slices = planted(2, 6000)
    few = np.flatnonzero(slices == "says too much")[10:]
    keep = np.setdiff1d(np.arange(len(said)), few)
    probe = np.linspace(0.1, 0.9, 9)

    def distance(rows, prior_rows=None):
        found = fit_calibrator(said[rows], happened[rows], slices[rows], method=method, prior_rows=prior_rows)
        return np.abs(found.slices["says too much"].apply(probe) - found.overall.apply(probe)).mean()

    assert distance(keep) < distance(np.arange(len(said))) / 2
    assert distance(keep, prior_rows=1e9) < 1e-4


def test_few_rows_are_served_better_by_the_correction_of_all_than_by_their_own_alone():
    random = np.random.default_rng(4)
    logits = random.normal(-1, 1.5, (40, 60))
    happened = random.random((40, 60)) < expit(logits)
    slices = np.repeat(np.arange(40), 60)
    new = random.normal(-1, 1.5, 20_000)

    def regret(prior_rows):
        found = fit_calibrator(expit(2 * logits).ravel(), happened.ravel(), slices, prior_rows=prior_rows)
        told = np.array([one.apply(expit(2 * new)) for one in found.slices.values()])
        return -(expit(new) * np.log(told) + (1 - expit(new)) * np.log1p(-told)).mean()

    assert regret(None) < regret(0)


def test_slices_never_seen_get_the_common_correction_and_are_counted(world):
    (said, happened, slices), _ = world
    calibrator = fit_calibrator(said, happened, slices)
    found = calibrator.apply([0.3, 0.3, 0.3, 0.3], ["new", "fair", "newer", "new"])
    assert found.unseen == {"new": 2, "newer": 1}
    common = calibrator.overall.apply(np.array([0.3]))[0]
    assert found.probs_N[[0, 2, 3]].tolist() == [common] * 3
    assert found.probs_N[1] != common
    assert calibrator.apply([0.3]).unseen == {}
    assert calibrator.num_rows["fair"] == 12_000


def test_one_text_names_the_slice_of_all_rows_and_numbers_are_read_as_texts():
    calibrator = Calibrator(Scaling(1.0, 0.0), {"3": Scaling(1.0, 1.0)})
    assert calibrator.apply([0.5, 0.5], "3").probs_N.tolist() == calibrator.apply([0.5, 0.5], [3, 3]).probs_N.tolist()
    assert calibrator.apply([0.5, 0.5], "4").unseen == {"4": 2}


@pytest.mark.parametrize("method", METHODS)
def test_through_json_the_numbers_are_the_same_to_the_last_bit(world, method):
    (said, happened, slices), (new, _, where) = world
    calibrator = fit_calibrator(said, happened, slices, method=method)
    again = calibrator_from_json(json.dumps(json.loads(calibrator.to_json())))
    assert (again.apply(new, where).probs_N == calibrator.apply(new, where).probs_N).all()
    assert again.num_rows == calibrator.num_rows


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1), st.integers(0, 2)), min_size=2, max_size=30),
    st.sampled_from(sorted(METHODS)),
    st.floats(0, 100),
)
def test_whatever_the_rows_probabilities_stay_probabilities_and_their_order_is_kept(rows, method, prior_rows):
    said, happened, slices = (np.array(one) for one in zip(*rows, strict=True))
    if 0 < happened.sum() < len(rows):
        found = fit_calibrator(said, happened, slices, method=method, prior_rows=prior_rows)
        grid = np.linspace(0, 1, 101)
        for one in (found.overall, *found.slices.values()):
            told = one.apply(grid)
            assert ((told >= 0) & (told <= 1)).all()
            assert (np.diff(told) >= -1e-12).all()


def test_a_model_that_is_wrong_more_often_than_right_is_flattened_not_turned_around():
    random = np.random.default_rng(3)
    said = random.random(4000)
    happened = random.random(4000) < 1 - said
    found = fit_calibrator(said, happened).overall
    assert found.temperature == pytest.approx(100)
    assert found.apply(np.array([0.05, 0.95])) == pytest.approx([0.5, 0.5], abs=0.03)


def test_labels_that_the_model_parts_perfectly_leave_the_numbers_finite():
    found = fit_calibrator([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]).overall
    assert np.isfinite([found.temperature, found.bias]).all()


def test_temperature_keeps_the_auc(world):
    _, (new, outcome, _) = world
    assert auc(Scaling(2.0, -0.7).apply(new), outcome) == pytest.approx(auc(new, outcome))


def test_a_slice_s_error_after_calibration_is_about_what_chance_explains(world):
    (said, happened, slices), (new, outcome, where) = world
    found = fit_calibrator(said, happened, slices).apply(new, where).probs_N
    noise = by_slice(calibration_noise, where, found, outcome)
    for name, one in by_slice(calibration_error, where, found, outcome).items():
        assert one.value < 3 * noise[name].value


@given(st.floats(-15, 15))
def test_log_odds_and_sigmoid_are_those_of_scipy(value):
    assert sigmoid(np.array([value]))[0] == pytest.approx(expit(value))
    assert log_odds(expit(np.array([value])))[0] == pytest.approx(logit(expit(value)), rel=1e-6, abs=1e-9)


def test_log_odds_of_sure_probabilities_are_finite():
    assert np.abs(log_odds(np.float32([0.0, 1.0]))).tolist() == pytest.approx([16.118, 16.118], abs=1e-3)


def test_applying_a_calibrator_loads_neither_torch_nor_scipy():
    code = (
        "import sys, kinema.ranking.calibrators, kinema.ranking.ensembles; print({'torch', 'scipy'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: fit_calibrator([0.5, 0.6], [0, 1], method="platt"),
            ConfigError,
            "one of temperature, isotonic, is 'platt'",
        ),
        (lambda: fit_calibrator([0.5, 0.6], [0, 1], prior_rows=-1), ConfigError, "prior_rows must be >= 0, is -1"),
        (lambda: fit_calibrator([0.5, 0.6], [1, 1]), DataError, "must see labels 0 and 1, all 2 are 1; take more rows"),
        (lambda: fit_calibrator([0.5, 1.6], [0, 1]), DataError, r"must be in \[0, 1\], got 1.6 in row 1"),
        (lambda: fit_calibrator([0.5, 0.6], [0, 1], ["a"]), DataError, r"one per row, 2, have shape \(1,\)"),
        (lambda: Calibrator(Scaling(1, 0)).apply([0.5, np.nan]), DataError, "got nan in row 1"),
        (lambda: Calibrator(Scaling(1, 0)).apply([0.5, 0.6], ["a"]), DataError, "one per row, 2"),
        (lambda: calibrator_from_json("{"), StaleArtifactError, "cannot be read: JSONDecodeError.*fit it again"),
        (
            lambda: calibrator_from_json('{"version": 9}'),
            StaleArtifactError,
            "must have version 1, has 9; fit it again",
        ),
        (lambda: calibrator_from_json('{"version": 1}'), StaleArtifactError, "cannot be read: KeyError: 'method'"),
        (lambda: calibrator_from_json("[]"), StaleArtifactError, "cannot be read: TypeError"),
    ],
)
def test_what_has_no_meaning_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize(
    ("kind", "found", "text"),
    [
        (Scaling, {"temperature": 0, "bias": 0}, "temperature must be > 0"),
        (Scaling, {"temperature": 1, "bias": float("nan")}, "bias finite"),
        (Steps, {"said": [0.2, 0.1], "meant": [0.1, 0.2]}, "rising points"),
        (Steps, {"said": [0.1, 0.2], "meant": [0.2, 0.1]}, "rising points"),
        (Steps, {"said": [0.1, 0.2], "meant": [0.2, float("nan")]}, "rising points"),
        (Steps, {"said": [0.1, 0.2], "meant": [0.2, 1.1]}, "end between 0 and 1"),
        (Steps, {"said": [], "meant": []}, "rising points"),
    ],
)
def test_a_damaged_correction_is_refused(kind, found, text):
    with pytest.raises(ValueError, match=text):
        kind.from_json(found)
