"""Item numbers that a memory does not have are refused before any loop over them."""

import numpy as np
import pytest
from scipy import sparse

from kinema.errors import DataError
from kinema.flm.memory import ItemMemory
from kinema.store.histories import Histories

MEMORY = ItemMemory.fit(Histories.from_lists([[0, 1, 2]], num_items=3))
NOBODY = sparse.csr_matrix((2, 2), dtype=np.float32)


@pytest.mark.parametrize("items", [[0, 3], [-1]])
@pytest.mark.parametrize(
    "ask",
    [
        MEMORY.connected,
        lambda items: MEMORY.scores_of(np.array([0]), items),
        lambda items: MEMORY.links(items, np.array([0])),
        lambda items: MEMORY.links(np.array([0]), items),
    ],
)
def test_numbers_beyond_the_catalogue_are_refused(ask, items):
    with pytest.raises(DataError, match=r"item numbers must be 0 to 2, got .* bind the model to the current catalogue"):
        ask(np.array(items))


def test_numbers_beyond_what_stands_in_are_refused():
    with pytest.raises(DataError, match="item numbers must be 0 to 1, got 2 to 2"):
        MEMORY.scores_of(np.array([2]), np.array([0]), smoothing_VV=NOBODY)
