import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.errors import DataError
from kinema.flm.whitening import Whitening, unit_rows


def correlated(num_rows=400, width=6, seed=0):
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(num_rows, width)) @ random.normal(size=(width, width)) + 5 * random.normal(size=width)
    return mixed.astype(np.float32)


def test_before_the_rows_are_cut_to_unit_length_columns_are_uncorrelated_and_the_strong_are_not_the_smaller():
    vectors = correlated()
    fitted = Whitening.fit(vectors)
    white = (vectors - fitted.mean_E) @ fitted.matrix_EW
    covariance = np.cov(white.T, bias=True)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-4)
    standard = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    strength = np.sort(np.linalg.eigvalsh(np.cov(standard.T, bias=True)))[::-1]
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), strength / (strength + 1), rtol=1e-2)


def test_rows_come_out_with_unit_length():
    vectors = correlated()
    white = Whitening.fit(vectors).apply(vectors)
    assert white.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(white, axis=1), 1, rtol=1e-5)


def test_a_shared_direction_no_longer_makes_all_items_alike():
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32) + 20
    unit = unit_rows(vectors)
    white = Whitening.fit(vectors).apply(vectors)
    assert (unit @ unit.T).mean() > 0.99
    assert abs((white @ white.T).mean()) < 0.02


@pytest.mark.parametrize(
    ("num_rows", "max_width", "expected"),
    [(400, 4, 4), (400, 128, 20), (40, 128, 30), (160, 128, 8), (2000, 40, 30), (400, 1, 1), (2, 128, 1), (1, 128, 1)],
)
def test_the_width_is_bounded_by_the_setting_the_rows_and_the_rank(num_rows, max_width, expected):
    vectors = np.random.default_rng(0).normal(size=(num_rows, 30)).astype(np.float32)
    fitted = Whitening.fit(vectors, max_width=max_width)
    assert fitted.width == expected
    assert np.isfinite(fitted.matrix_EW).all()


def test_a_few_dozen_items_keep_the_cosines_of_their_encoder():
    vectors = correlated(40)
    centred = unit_rows(vectors - vectors.mean(axis=0))
    white = Whitening.fit(vectors).apply(vectors)
    np.testing.assert_allclose(white @ white.T, centred @ centred.T, atol=1e-5)


def test_constant_and_repeated_columns_are_dropped_instead_of_blown_up():
    vectors = correlated(400, 3)
    wide = np.concatenate([vectors, vectors, np.full((400, 2), 7, np.float32)], axis=1)
    assert Whitening.fit(wide).width == 3
    assert np.isfinite(Whitening.fit(wide).apply(wide)).all()


def test_equal_rows_become_zero_rows():
    same = np.tile(np.float32([1, 2, 3]), (5, 1))
    assert not Whitening.fit(same).apply(same).any()


@settings(deadline=None, max_examples=20, derandomize=True)
@given(st.integers(0, 1000), st.sampled_from([1e-2, 1.0, 1e3]))
def test_scale_and_offset_of_the_encoder_make_no_difference(seed, scale):
    vectors = correlated(seed=seed)
    moved = scale * vectors + 3
    cosines = Whitening.fit(vectors).apply(vectors)[:20] @ Whitening.fit(vectors).apply(vectors)[:20].T
    again = Whitening.fit(moved).apply(moved)[:20] @ Whitening.fit(moved).apply(moved)[:20].T
    np.testing.assert_allclose(again, cosines, atol=0.02)


def test_fitting_twice_gives_the_same_bits():
    first, second = Whitening.fit(correlated()), Whitening.fit(correlated())
    assert first.matrix_EW.tobytes() == second.matrix_EW.tobytes()


def test_fitting_on_nothing_or_on_something_not_finite_is_refused():
    with pytest.raises(DataError, match=r"features to whiten must be finite with at least one row, got shape \(0, 4\)"):
        Whitening.fit(np.zeros((0, 4), dtype=np.float32))
    with pytest.raises(DataError, match="features to whiten must be finite"):
        Whitening.fit(np.float32([[1, np.nan]]))


def test_another_width_than_in_training_is_refused():
    with pytest.raises(DataError, match="features must be 6 wide as in training, are 5; run: kinema pretrain"):
        Whitening.fit(correlated()).apply(np.zeros((2, 5), dtype=np.float32))


@pytest.mark.parametrize(("rows", "widest"), [(300, 350), (300, 100), (90, 100), (1, 100)])
def test_very_wide_vectors_are_whitened_alike_without_a_covariance_as_large_as_their_width_squared(
    rows, widest, monkeypatch
):
    random = np.random.default_rng(0)
    loud = random.normal(size=(rows, 30)) @ (np.linspace(9, 3, 30)[:, None] * random.normal(size=(30, 400)))
    vectors = (loud + 0.1 * random.normal(size=(rows, 400))).astype(np.float32)
    usual = Whitening.fit(vectors)
    monkeypatch.setattr("kinema.flm.whitening._WIDEST", widest)
    wide = Whitening.fit(vectors)
    assert wide.width == usual.width
    assert np.allclose(wide.apply(vectors), usual.apply(vectors), atol=1e-4)
