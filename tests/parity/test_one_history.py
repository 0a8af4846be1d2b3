"""One history read as machine code gives the states that torch gives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from kinema.flm.config import FLMConfig
from kinema.flm.network import FLMNetwork
from kinema.flm.one_history import OneHistory, _erf
from kinema.flm.sequence import running_mean
from kinema.flm.timing import buckets_of_one, moments
from kinema.training.inserts import insert_prefixes

WIDTH, LONGEST = 12, 9


def network(seed, *, profile_width=0, **how):
    """With parameters that are all far from where training starts."""
    torch.manual_seed(seed)
    config = FLMConfig(d_model=WIDTH, max_length=LONGEST, **how)
    made = FLMNetwork.reading({}, config, num_items=3, profile_width=profile_width).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return made


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 99),
    length=st.integers(0, LONGEST),
    shape=st.fixed_dictionaries(
        {
            "block": st.sampled_from(["plain", "ligr"]),
            "filter_share": st.sampled_from([0.0, 0.4]),
            "time_bias": st.sampled_from(["none", "history", "query"]),
            "num_blocks": st.integers(1, 3),
            "num_heads": st.sampled_from([1, 3]),
        }
    ),
    profile=st.sampled_from(["no columns", "none", "zeros", "known"]),
    is_asked_when=st.booleans(),
)
def test_the_states_are_those_of_torch(seed, length, shape, profile, *, is_asked_when):
    rng, kind = np.random.default_rng(seed), shape["time_bias"]
    made = network(seed, profile_width=0 if profile == "no columns" else 4, **shape)
    one = OneHistory.of(made)
    items, content = (rng.normal(size=(length, WIDTH)).astype(np.float32) for _ in range(2))
    row = {"zeros": np.zeros(4, np.float32), "known": rng.normal(size=4).astype(np.float32)}.get(profile)
    read = np.sort(rng.integers(0, 10**11, length))
    asked = 10**11 + 5 if is_asked_when or not length else None
    following = np.append(read, read[-1] if asked is None else asked)
    times = moments(kind, torch.from_numpy(read)[None], torch.from_numpy(following)[None])
    with torch.inference_mode():
        rows = None if row is None else torch.from_numpy(row)[None]
        states = made.states(torch.from_numpy(items)[None], torch.from_numpy(content)[None], rows, times)
    found = one.sequential(items, row, buckets_of_one(kind, read, asked))
    np.testing.assert_allclose(found, states.sequential_BLD[0, -1], atol=5e-6)
    if length:
        np.testing.assert_allclose(one.collaborative(items), states.collaborative_BLD[0, -1], atol=5e-6)
        np.testing.assert_allclose(one.content(content), states.content_BLD[0, -1], atol=5e-6)
    else:
        assert not one.collaborative(items).any()
        assert not one.content(content).any()


def test_the_content_of_a_history_is_its_decayed_sum():
    content = np.random.default_rng(0).normal(size=(6, WIDTH)).astype(np.float32)
    expected = running_mean(torch.from_numpy(content)[None], decay=0.9)[0, -1]
    np.testing.assert_allclose(OneHistory.of(network(0)).content(content), expected, atol=1e-6)


def test_the_error_function_is_right_to_six_digits():
    values = np.concatenate([np.linspace(-6, 6, 2001), [0.0, 1e-6, -1e30, 1e30]]).astype(np.float32)
    found = np.array([_erf(value) for value in values])
    np.testing.assert_allclose(found, erf(values.astype(np.float64)), atol=5e-7)


def test_a_network_with_a_prefix_is_left_to_torch():
    made = network(1)
    insert_prefixes(made, ["encoder.blocks.0.attention"], length=2)
    assert OneHistory.of(made) is None


def test_a_network_with_another_kind_of_map_is_left_to_torch():
    made = network(1)
    made.encoder.blocks[1].feed_in = torch.nn.Sequential(made.encoder.blocks[1].feed_in)
    assert OneHistory.of(made) is None


def test_a_network_with_something_behind_a_map_is_left_to_torch():
    made = network(1)
    handle = made.encoder.blocks[0].feed_out.register_forward_hook(lambda part, given, out: 2 * out)
    assert OneHistory.of(made) is None
    handle.remove()
    assert OneHistory.of(made) is not None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_network_of_other_numbers_is_left_to_torch(dtype):
    assert OneHistory.of(network(1).to(dtype)) is None
