import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.flm.imputation import content_neighbours, impute, smoothing
from kinema.flm.whitening import unit_rows


def world(seed, num_items=14):
    random = np.random.default_rng(seed)
    content = unit_rows(random.normal(size=(num_items, 5)))
    content[random.random(num_items) < 0.2] = 0
    vectors = unit_rows(random.normal(size=(num_items, 4)))
    counts = random.integers(0, 9, num_items)
    return content, vectors, counts


def naive_neighbours(content, warm, num_neighbours, sharpness):
    found = []
    for item, own in enumerate(content):
        pool = [
            (-float(own @ content[j]), j) for j in range(len(content)) if warm[j] and content[j].any() and j != item
        ]
        nearest = sorted(pool)[:num_neighbours] if own.any() else []
        weights = {j: np.exp(-sharpness * cosine) for cosine, j in nearest}
        found.append({j: weight / sum(weights.values()) for j, weight in weights.items()})
    return found


def as_mappings(neighbours, weights):
    pairs = [zip(row, values, strict=True) for row, values in zip(neighbours, weights, strict=True)]
    return [{int(j): float(weight) for j, weight in row if weight > 0} for row in pairs]


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 500), st.sampled_from([1, 3, 20]), st.sampled_from([0.0, 4.0]))
def test_neighbours_and_weights_equal_the_naive_twin(seed, num_neighbours, sharpness):
    content, _, counts = world(seed)
    warm = counts >= 3
    found = content_neighbours(content, warm, num_neighbours=num_neighbours, sharpness=sharpness)
    for one, expected in zip(
        as_mappings(*found), naive_neighbours(content, warm, num_neighbours, sharpness), strict=True
    ):
        assert one == pytest.approx(expected, rel=1e-3)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 500), st.sampled_from([0.5, 5.0]))
def test_imputed_vectors_equal_the_naive_twin(seed, shrinkage):
    content, vectors, counts = world(seed)
    found = content_neighbours(content, counts >= 3, num_neighbours=3)
    imputed = impute(vectors, counts, *found, shrinkage=shrinkage)
    for item, near in enumerate(as_mappings(*found)):
        if near:
            mean = sum(weight * vectors[j] for j, weight in near.items())
            expected = counts[item] * vectors[item] + shrinkage * mean
            expected = expected / np.linalg.norm(expected)
        else:
            expected = vectors[item] * (counts[item] > 0)
        np.testing.assert_allclose(imputed[item], expected, atol=1e-4)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 500))
def test_the_smoothing_matrix_shrinks_counts_as_imputation_shrinks_vectors(seed):
    content, vectors, counts = world(seed)
    found = content_neighbours(content, counts >= 3, num_neighbours=3)
    matrix = smoothing(counts, *found, shrinkage=2.0)
    np.testing.assert_allclose(np.asarray(matrix.sum(axis=1)).ravel(), 1, rtol=1e-5)
    described = found[1].sum(axis=1) > 0
    imputed = impute(vectors, counts, *found, shrinkage=2.0)
    np.testing.assert_allclose(unit_rows(matrix @ vectors)[described], imputed[described], atol=1e-4)
    assert (matrix[~described] @ vectors == vectors[~described]).all()


def test_an_item_without_content_has_no_neighbours_and_is_nobodys():
    content = np.float32([[1, 0], [0, 0], [1, 0], [0, 1]])
    neighbours, weights = content_neighbours(content, np.ones(4, dtype=bool), num_neighbours=3)
    assert weights[1].sum() == 0
    assert 1 not in neighbours[[0, 2, 3]][weights[[0, 2, 3]] > 0]


@pytest.mark.parametrize("content", [np.zeros((3, 1), np.float32), np.eye(3, dtype=np.float32)])
def test_without_content_or_warm_items_warm_vectors_stay_and_cold_ones_are_zero(content):
    warm = np.zeros(3, dtype=bool) if content.any() else np.ones(3, dtype=bool)
    neighbours, weights = content_neighbours(content, warm, num_neighbours=2)
    assert not weights.any()
    vectors, counts = np.eye(3, dtype=np.float32), np.array([4, 0, 1])
    assert impute(vectors, counts, neighbours, weights).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert smoothing(counts, neighbours, weights).toarray().tolist() == np.eye(3).tolist()


def test_the_only_warm_item_has_itself_for_no_neighbour():
    content = np.float32([[1, 0], [1, 0]])
    neighbours, weights = content_neighbours(content, np.array([True, False]), num_neighbours=2)
    assert weights[0].sum() == 0
    assert (neighbours[1, 0], weights[1].tolist()) == (0, [1, 0])


def test_without_events_an_item_is_its_neighbours_and_with_very_many_it_is_itself():
    vectors = unit_rows(np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    neighbours, weights = np.array([[1, 2]] * 3), np.float32([[0.5, 0.5]] * 3)
    none = impute(vectors, np.array([0, 5, 5]), neighbours, weights)[0]
    np.testing.assert_allclose(none, [0, 0.5**0.5, 0.5**0.5], atol=1e-6)
    many = impute(vectors, np.array([10**8, 5, 5]), neighbours, weights)[0]
    np.testing.assert_allclose(many, vectors[0], atol=1e-6)
    alike = impute(vectors, np.array([5, 5, 5]), neighbours, weights, shrinkage=5.0)[0]
    assert alike[0] == pytest.approx(2 * alike[1], rel=1e-5)


def test_random_neighbours_still_give_finite_unit_vectors():
    random = np.random.default_rng(0)
    vectors = unit_rows(random.normal(size=(20, 6)))
    neighbours = random.integers(0, 20, (20, 4))
    weights = random.dirichlet(np.ones(4), 20).astype(np.float32)
    imputed = impute(vectors, random.integers(0, 3, 20), neighbours, weights)
    assert imputed.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(imputed, axis=1), 1, rtol=1e-5)


def test_a_sharper_softmax_leans_on_the_nearest_item():
    content = unit_rows(np.float32([[1, 0], [1, 0.1], [1, 1]]))
    warm = np.array([False, True, True])
    blunt = content_neighbours(content, warm, num_neighbours=2, sharpness=0.0)[1][0]
    sharp = content_neighbours(content, warm, num_neighbours=2, sharpness=500.0)[1][0]
    assert blunt.tolist() == [0.5, 0.5]
    assert sharp[0] > 0.999
