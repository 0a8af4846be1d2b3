import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.flm.config import FLMConfig
from kinema.store.features import ModalityFeatures
from kinema.store.histories import Histories
from kinema.tuning.domains import Choice, Span
from kinema.tuning.space import SPACE, DataFacts, Dimension, on_or_off, one_of, searched

LONG = DataFacts(longest=500, has_content=True)


def test_every_domain_holds_the_default():
    for defaults in (FLMConfig(), FLMConfig(d_model=36, num_heads=3, num_blocks=5, dropout=0.7, weight_collab=0.0)):
        for name, domain in searched(defaults, fixed=[], facts=LONG).items():
            assert getattr(defaults, name) in domain


@given(
    width=st.integers(1, 40).map(lambda one: 4 * one),
    heads=st.integers(1, 16),
    fixed=st.sets(st.sampled_from(["d_model", "num_heads"])),
)
def test_every_width_goes_with_every_number_of_heads(width, heads, fixed):
    if width % heads:
        return
    found = searched(FLMConfig(d_model=width, num_heads=heads), fixed=fixed, facts=LONG)
    widths = found["d_model"].values if "d_model" in found else (width,)
    counts = found["num_heads"].values if "num_heads" in found else (heads,)
    assert all(one % many == 0 for one in widths for many in counts)
    assert width in widths
    assert heads in counts


def test_what_the_user_has_fixed_is_not_searched():
    found = searched(FLMConfig(), fixed=["dropout", "max_epochs"], facts=LONG)
    assert "dropout" not in found
    assert set(found) == {one.name for one in SPACE} - {"dropout"}


def test_what_cannot_matter_is_not_searched():
    found = searched(FLMConfig(max_length=50), fixed=[], facts=DataFacts(longest=12, has_content=False))
    assert "weight_content" not in found
    assert "max_length" not in found
    longer = searched(FLMConfig(max_length=50), fixed=[], facts=DataFacts(longest=150, has_content=True))
    assert longer["max_length"] == Choice((20, 50, 100))
    assert longer["weight_content"] == Choice((0.0, 0.1))


def test_one_more_line_is_one_more_dimension():
    space = (*SPACE, Dimension("memory_window", one_of(5, 20)), Dimension("memory_echo", on_or_off(0.5)))
    found = searched(FLMConfig(memory_echo=0.0), fixed=[], facts=LONG, space=space)
    assert found["memory_window"] == Choice((5, 20))
    assert found["memory_echo"] == Choice((0.0, 0.5))


def test_every_dimension_is_a_setting_of_the_model():
    assert all(hasattr(FLMConfig(), one.name) for one in SPACE)


def test_a_factor_is_searched_around_the_default():
    found = searched(FLMConfig(learning_rate=4e-3), fixed=[], facts=LONG)
    assert found["learning_rate"] == Span(pytest.approx(1e-3), pytest.approx(1e-2), log=True)


def test_the_facts_are_read_off_the_training_data():
    nothing = ModalityFeatures("text", np.zeros((3, 2), np.float32), np.zeros(3, bool), np.zeros(3, np.float32))
    train = Histories.from_lists([[0, 1, 2], [1]], num_items=3)
    assert DataFacts.of(train, {"text": nothing}) == DataFacts(longest=3, has_content=False)
    something = ModalityFeatures("text", np.zeros((3, 2), np.float32), np.ones(3, bool), np.ones(3, np.float32))
    assert DataFacts.of(train, {"text": something}) == DataFacts(longest=3, has_content=True)
