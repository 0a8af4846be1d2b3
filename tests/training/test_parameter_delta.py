"""phi = theta + delta: what was learnt is kept alone, and belongs to one theta."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kinema.errors import ConfigError, NotBuiltError, StaleArtifactError
from kinema.flm.draws import Draws
from kinema.flm.sequence import HistoryEncoder
from kinema.training.checkpoint import snapshot
from kinema.training.parameter_choice import METHODS, Choice, choose
from kinema.training.parameter_delta import _bits, delta_facts, list_deltas, put_on, save_delta, take_off

HEADS = ("head",)


class Task(nn.Module):
    """FLM's history encoder with a head."""

    def __init__(self, seed=0, classes=2):
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = HistoryEncoder(d_model=8, num_blocks=2, num_heads=2, max_length=6, dropout=0.1)
        self.head = nn.Linear(8, classes)

    def forward(self, items_BLD, draws=None):
        return self.head(self.encoder(items_BLD, None, draws)[:, -1])


def read(network):
    torch.manual_seed(3)
    with torch.inference_mode():
        return network(torch.randn(4, 5, 8))


def learnt(method, **settings):
    chosen = choose(Task(), Choice(method, **{"layers": 1, "rank": 2, "width": 4, "length": 3} | settings), heads=HEADS)
    optimizer = torch.optim.AdamW([one for one in chosen.network.parameters() if one.requires_grad], lr=0.03)
    for step in range(3):
        optimizer.zero_grad()
        torch.manual_seed(step)
        chosen.network(torch.randn(4, 5, 8), Draws(step)).square().sum().backward()
        optimizer.step()
    return chosen


@pytest.mark.parametrize("method", METHODS)
def test_theta_with_the_stored_delta_is_what_was_trained_and_goes_back_to_theta(method, tmp_path):
    chosen = learnt(method)
    expected = read(chosen.network)
    facts = save_delta(chosen, tmp_path / "delta")
    network = Task()
    theta, before = snapshot(network.encoder), read(network)
    again = put_on(network, tmp_path / "delta")
    assert torch.equal(read(network), expected)
    assert not torch.equal(expected, before)
    assert (again.num_learning, again.num_all) == (chosen.num_learning, chosen.num_all)
    assert facts.theta == chosen.theta
    assert facts.num_heads == 18
    assert facts.num_parameters <= chosen.num_learning
    assert save_delta(again, tmp_path / "again").num_parameters == facts.num_parameters
    again.remove()
    assert all(torch.equal(one, theta[name]) for name, one in network.encoder.state_dict().items())
    assert list(network.encoder.state_dict()) == list(theta)


@pytest.mark.parametrize("method", ["lora", "adapter", "prefix", "frozen", "top"])
def test_a_delta_is_smaller_than_the_network(method, tmp_path):
    whole = save_delta(learnt("full"), tmp_path / "full")
    assert save_delta(learnt(method), tmp_path / method).size_bytes < 0.8 * whole.size_bytes


def test_merged_deltas_say_what_the_others_say(tmp_path):
    chosen = learnt("lora")
    expected = read(chosen.network)
    save_delta(chosen, tmp_path / "delta")
    again = put_on(Task(), tmp_path / "delta")
    again.merge()
    assert (read(again.network) - expected).abs().max() < 1e-5
    assert list(again.network.state_dict()) == list(Task().state_dict())
    with pytest.raises(ConfigError, match="a delta must be saved before it is merged"):
        save_delta(again, tmp_path / "late")


@pytest.mark.parametrize("method", ["full", "top", "frozen"])
def test_a_change_of_weights_is_taken_off_a_network_that_was_saved_whole(method, tmp_path):
    chosen = learnt(method)
    save_delta(chosen, tmp_path / "delta")
    loaded = Task(seed=9)
    loaded.load_state_dict(chosen.network.state_dict())
    take_off(loaded, tmp_path / "delta")
    theta = Task().encoder.state_dict()
    assert all(torch.equal(one, theta[name]) for name, one in loaded.encoder.state_dict().items())
    if method != "frozen":
        stranger = Task(seed=9)
        state = snapshot(stranger)
        with pytest.raises(StaleArtifactError, match="'delta' must be taken off a network that holds it"):
            take_off(stranger, tmp_path / "delta")
        assert all(torch.equal(one, state[name]) for name, one in stranger.state_dict().items())


def test_what_lies_beside_the_weights_is_not_taken_off_them(tmp_path):
    save_delta(learnt("lora"), tmp_path / "delta")
    with pytest.raises(ConfigError, match="'delta' is of 'lora'; load theta again instead"):
        take_off(Task(), tmp_path / "delta")


@given(
    st.lists(st.floats(width=32, allow_nan=True), min_size=2, max_size=2),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]),
)
def test_differences_of_bits_are_exact_for_all_numbers(pair, dtype):
    theta, phi = (torch.tensor([one]).to(dtype) for one in pair)
    again = (_bits(theta) + (_bits(phi) - _bits(theta))).view(dtype)
    assert torch.equal(_bits(again), _bits(phi))


def test_another_theta_or_another_head_is_refused(tmp_path):
    save_delta(learnt("lora"), tmp_path / "delta")
    network = Task(seed=1)
    state = snapshot(network)
    with pytest.raises(StaleArtifactError, match=r"'delta' must be put on theta [0-9a-f]{16}, this network is"):
        put_on(network, tmp_path / "delta")
    assert list(network.state_dict()) == list(state)
    with pytest.raises(StaleArtifactError, match=r"with 'head.bias' \[2\], this one has \[5\]; build the head"):
        put_on(Task(classes=5), tmp_path / "delta")
    with pytest.raises(NotBuiltError, match="no parameter-delta artefact in 'nothing'"):
        put_on(Task(), tmp_path / "nothing")


def test_a_damaged_delta_is_refused(tmp_path):
    save_delta(learnt("lora"), tmp_path / "delta")
    file = tmp_path / "delta" / "delta.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(StaleArtifactError, match=r"file 'delta.safetensors' of artefact 'delta' is missing or damaged"):
        put_on(Task(), tmp_path / "delta")


def test_deltas_are_listed_with_their_sizes(tmp_path):
    for method in ("lora", "adapter"):
        save_delta(learnt(method), tmp_path / method)
    (tmp_path / "other").mkdir()
    found = list_deltas(tmp_path)
    assert [(one.name, one.choice.method) for one in found] == [("adapter", "adapter"), ("lora", "lora")]
    for one in found:
        assert one == delta_facts(tmp_path / one.name)
        assert one.size_bytes == (tmp_path / one.name / "delta.safetensors").stat().st_size
        assert one.size_bytes >= 4 * one.num_parameters
