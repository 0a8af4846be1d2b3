"""By what items are alike: raw content and what is learnt of it, at weights of each modality."""

import numpy as np
import pytest
import torch

from kinema.flm.fusion import content_from
from kinema.flm.likeness import Liken, Likeness, Weight

NUM_ITEMS = 7


@pytest.fixture(name="content")
def made_content():
    torch.manual_seed(0)
    vectors = [torch.nn.functional.normalize(torch.randn(NUM_ITEMS, width), dim=-1) for width in (4, 3)]
    vectors[1][0] = 0
    ones = [torch.ones(NUM_ITEMS)] * 2
    return content_from(["look", "words"], vectors, ones, ones, NUM_ITEMS)


@pytest.fixture(name="likeness")
def made_likeness():
    torch.manual_seed(1)
    return Likeness(widths={"look": 4, "words": 3}, moment_widths={}, d_model=5).eval()


def cosines(liken, content):
    rows = liken.alike(content)
    return rows @ rows.T


def test_a_modality_without_weight_says_nothing(content, likeness):
    found = cosines(Liken(likeness, {"look": Weight(1.0, 0.0)}), content)
    look = content.vectors[0].numpy()
    np.testing.assert_allclose(found, look @ look.T, atol=1e-6)


def test_raw_content_and_what_is_learnt_of_it_stand_side_by_side(content, likeness):
    found = cosines(Liken(likeness, {"look": Weight(1.0, 2.0), "words": Weight(0.0)}), content)
    look, learnt = content.vectors[0].numpy(), likeness.rows(content)[:, 0]
    np.testing.assert_allclose(found, (look @ look.T + 4 * learnt @ learnt.T) / 5, atol=1e-6)


def test_directions_are_one_per_modality_and_none_where_an_item_lacks_it(content, likeness):
    rows = likeness.rows(content)
    lengths = np.linalg.norm(rows, axis=2)
    assert rows.shape == (NUM_ITEMS, 2, 5)
    assert lengths[0].tolist() == pytest.approx([1, 0])
    assert lengths[1:] == pytest.approx(np.ones((NUM_ITEMS - 1, 2)))


def test_what_the_map_says_is_taken_where_it_is_at_hand(content, likeness):
    weights = {"look": Weight(1.0, 1.0), "words": Weight(0.5, 2.0)}
    given = Liken(likeness, weights, likeness.rows(content))
    assert np.array_equal(given.alike(content), Liken(likeness, weights).alike(content))
