"""Several lists become one that remembers where each item came from."""

from hypothesis import given
from hypothesis import strategies as st

from kinema.retrieval.merge import merge
from kinema.schema import Candidate


def candidates(source, items):
    return [Candidate(item, source, -float(place)) for place, item in enumerate(items)]


LISTS = st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 20), unique=True, max_size=10))


@given(LISTS)
def test_every_item_appears_once_with_its_place_in_every_list(lists):
    merged = merge({name: candidates(name, items) for name, items in lists.items()})
    assert merged.items_K.tolist() == sorted({item for items in lists.values() for item in items})
    for column, item in enumerate(merged.items_K.tolist()):
        for row, items in enumerate(lists.values()):
            assert merged.ranks_SK[row, column] == (items.index(item) if item in items else -1)
        assert merged.proposed.of_each()[column] == tuple(name for name in lists if item in lists[name])


def test_a_source_without_candidates_is_kept_by_name():
    merged = merge({"flm": [], "popularity": candidates("popularity", [3])})
    assert merged.sources == ("flm", "popularity")
    assert merged.ranks_SK.tolist() == [[-1], [0]]
