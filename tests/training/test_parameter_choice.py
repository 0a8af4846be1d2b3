"""What learns, how much that is, and that theta comes back bit for bit."""

import pytest
import torch
import transformers
from torch import nn

from kinema.errors import ConfigError
from kinema.flm.config import FLMConfig
from kinema.flm.draws import Draws
from kinema.flm.network import FLMNetwork
from kinema.flm.sequence import HistoryEncoder
from kinema.training.checkpoint import snapshot
from kinema.training.parameter_choice import METHODS, Choice, choose, theta_fingerprint
from kinema.training.parameter_sites import find_sites
from tiny_encoders import SMALL

TOKENS = torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
FAMILIES = {
    "bert": lambda: transformers.BertModel(transformers.BertConfig(**SMALL, vocab_size=30, intermediate_size=64)),
    "roberta": lambda: transformers.RobertaModel(
        transformers.RobertaConfig(**SMALL, vocab_size=30, intermediate_size=64, pad_token_id=0)
    ),
    "electra": lambda: transformers.ElectraModel(
        transformers.ElectraConfig(**SMALL, vocab_size=30, intermediate_size=64, embedding_size=32)
    ),
    "mpnet": lambda: transformers.MPNetModel(
        transformers.MPNetConfig(**SMALL, vocab_size=30, intermediate_size=64, pad_token_id=1)
    ),
    "distilbert": lambda: transformers.DistilBertModel(
        transformers.DistilBertConfig(vocab_size=30, dim=32, n_layers=2, n_heads=2, hidden_dim=64)
    ),
}


def encoder(family="bert"):
    transformers.set_seed(0)
    return FAMILIES[family]().eval()


def history(**settings):
    torch.manual_seed(0)
    sizes = {"d_model": 8, "num_blocks": 3, "num_heads": 2, "max_length": 6, "dropout": 0.1}
    return HistoryEncoder(**sizes | settings).eval()


def read(network):
    with torch.inference_mode():
        if isinstance(network, HistoryEncoder):
            torch.manual_seed(3)
            return network(torch.randn(2, 5, 8), None)
        return network(input_ids=TOKENS, attention_mask=MASK).last_hidden_state * MASK.unsqueeze(-1)


def teach(chosen, steps=3):
    """A few real steps of an optimizer towards numbers drawn at random."""
    learning = [one for one in chosen.network.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=0.03, weight_decay=0.0)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.manual_seed(4)
        if isinstance(chosen.network, HistoryEncoder):
            states = chosen.network(torch.randn(2, 5, 8), None, Draws(0))
        else:
            states = chosen.network(input_ids=TOKENS, attention_mask=MASK).last_hidden_state
        (states - torch.randn_like(states)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("method", [one for one in METHODS if one != "frozen"])
@pytest.mark.parametrize("build", [encoder, history], ids=["bert", "flm"])
def test_only_what_was_chosen_learns_and_removal_gives_theta_back_bit_for_bit(build, method):
    network = build()
    theta, before = snapshot(network), read(network)
    chosen = choose(network, Choice(method, layers=1, rank=2, width=4, length=3))
    if method != "prefix":
        assert torch.equal(read(network), before)
    frozen = {name: one.clone() for name, one in network.named_parameters() if not one.requires_grad}
    teach(chosen)
    now = dict(network.named_parameters())
    assert all(torch.equal(now[name], one) for name, one in frozen.items())
    assert (read(network) - before).abs().max() > 1e-3
    assert chosen.num_learning == sum(one.numel() for one in network.parameters() if one.requires_grad)
    assert chosen.num_all == sum(one.numel() for one in network.parameters())
    chosen.remove()
    assert list(network.state_dict()) == list(theta)
    assert all(torch.equal(one, theta[name]) for name, one in network.state_dict().items())
    assert torch.equal(read(network), before)
    assert all(one.requires_grad for one in network.parameters())


@pytest.mark.parametrize("family", ["roberta", "electra", "mpnet", "distilbert"])
@pytest.mark.parametrize("method", ["top", "lora", "adapter"])
def test_other_families_of_encoders_have_the_same_places(family, method):
    network = encoder(family)
    before = read(network)
    chosen = choose(network, Choice(method, layers=1, rank=2, width=4))
    assert torch.equal(read(network), before)
    teach(chosen)
    assert not torch.allclose(read(network), before, atol=1e-4)
    chosen.remove()
    assert torch.equal(read(network), before)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_a_text_prefix_is_attended_to_as_the_formula_says(family):
    network = encoder(family)
    choose(network, Choice("prefix", length=3))
    attention = network.encoder.layer[0].attention.self
    for one in attention.prefix.parameters():
        nn.init.normal_(one)
    x_BLD = torch.randn(1, 4, 32)
    queries, keys, values = (one(x_BLD)[0].view(4, 2, 16) for one in (attention.query, attention.key, attention.value))
    keys = torch.cat([attention.prefix.keys_HPE.transpose(0, 1), keys])
    values = torch.cat([attention.prefix.values_HPE.transpose(0, 1), values])
    weights = (torch.einsum("lhe,khe->hlk", queries, keys) / 4).softmax(-1)
    expected = torch.einsum("hlk,khe->lhe", weights, values).reshape(4, 32)
    assert torch.allclose(attention(x_BLD)[0][0], expected, atol=1e-5)


def test_a_prefix_is_attended_to_as_the_formula_says():
    """One layer, one head, by hand: softmax over prefix and positions up to one's own."""
    torch.manual_seed(0)
    network = history(num_blocks=1, num_heads=1)
    attention = network.blocks[0].attention
    chosen = choose(network, Choice("prefix", length=2))
    for one in chosen.added().values():
        nn.init.normal_(one)
    x_BLD = torch.randn(1, 3, 8)
    queries, keys, values = attention.queries_keys_values(x_BLD)[0].chunk(3, dim=-1)
    keys = torch.cat([attention.prefix.keys_HPE[0], keys])
    values = torch.cat([attention.prefix.values_HPE[0], values])
    logits = queries @ keys.T / 8**0.5
    hidden = torch.ones(3, 5).triu(3).bool()
    expected = attention.out(logits.masked_fill(hidden, -torch.inf).softmax(-1) @ values)
    assert torch.allclose(attention(x_BLD)[0], expected, atol=1e-6)
    bias_BHLL = torch.zeros(1, 1, 3, 3).masked_fill(torch.ones(3, 3).triu(1).bool(), -torch.inf)
    assert torch.allclose(attention(x_BLD, bias_BHLL)[0], expected, atol=1e-6)


def test_a_text_prefix_hides_padding_and_leaves_positions_alone():
    network = encoder()
    chosen = choose(network, Choice("prefix", length=3))
    for one in chosen.added().values():
        nn.init.normal_(one)
    together = read(network)
    with torch.inference_mode():
        alone = network(input_ids=TOKENS[1:, :3]).last_hidden_state
    assert torch.allclose(together[1:, :3], alone, atol=1e-5)


@pytest.mark.parametrize("build", [encoder, history], ids=["bert", "flm"])
def test_merged_low_rank_maps_say_the_same_and_theta_still_comes_back(build):
    network = build()
    before, theta = read(network), snapshot(network)
    chosen = choose(network, Choice("lora", rank=2))
    assert not any("pooler" in name or "profile" in name for name in chosen.added())
    teach(chosen)
    beside = read(network)
    chosen.merge()
    chosen.merge()
    assert chosen.merged
    assert list(network.state_dict()) == list(theta)
    assert (read(network) - beside).abs().max() < 1e-5
    chosen.remove()
    assert torch.equal(read(network), before)
    again = choose(network, Choice("lora", rank=2))
    assert torch.equal(read(network), before)
    again.remove()


def test_full_merging_is_nothing_and_what_is_no_linear_map_cannot_be_merged():
    chosen = choose(history(), Choice("full"))
    teach(chosen)
    learnt = read(chosen.network)
    chosen.merge()
    assert torch.equal(read(chosen.network), learnt)
    for method in ("adapter", "prefix"):
        with pytest.raises(ConfigError, match=f"learnt by '{method}' cannot be merged into the weights"):
            choose(history(), Choice(method)).merge()


def test_heads_learn_always_and_are_no_part_of_theta():
    network = nn.ModuleDict({"encoder": encoder(), "head": nn.Linear(32, 2)})
    theta = theta_fingerprint(network, ("head",))
    for method in METHODS:
        chosen = choose(network, Choice(method, layers=1, rank=2), heads=("head",))
        assert chosen.num_heads == 66
        assert network["head"].weight.requires_grad
        assert set(chosen.head_state()) == {"head.weight", "head.bias"}
        if method == "frozen":
            assert chosen.num_learning == 66
        nn.init.normal_(network["head"].weight)
        chosen.remove()
        assert theta_fingerprint(network, ("head",)) == theta == chosen.theta


def test_numbers_of_each_method_are_what_the_papers_count():
    layers, width, inner = 2, 32, 64
    low_rank = layers * 2 * (4 * 2 * width + 2 * (width + inner))
    houlsby = layers * 2 * (2 * width * 4 + width + 4)
    expected = {
        Choice("lora", rank=2): low_rank,
        Choice("adapter", width=4): houlsby,
        Choice("adapter", width=4, placement="pfeiffer"): houlsby // 2,
        Choice("prefix", length=3): layers * 2 * 3 * width,
        Choice("frozen"): 0,
    }
    for choice, count in expected.items():
        chosen = choose(encoder(), choice)
        assert (chosen.num_learning, chosen.num_heads) == (count, 0)


def test_the_layers_of_a_whole_flm_network_are_found_among_its_other_parts():
    network = FLMNetwork(
        FLMConfig(d_model=8, num_heads=2, num_blocks=2, block="ligr"),
        num_items=5,
        modality_widths={"text": 4, "frames": 4, "motion": 4},
        profile_width=3,
    )
    assert find_sites(network).layers == ("encoder.blocks.0", "encoder.blocks.1")
    chosen = choose(network, Choice("lora", rank=2))
    assert all(name.startswith("encoder.blocks.") for name in chosen.added())
    assert any("attention_gate" in name for name in chosen.added())


def test_the_same_seed_starts_from_the_same_numbers_and_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, other = (choose(history(), Choice("adapter"), seed=seed).added() for seed in (5, 5))
    torch.manual_seed(1)
    choose_again = choose(history(), Choice("adapter"), seed=6).added()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], choose_again[name]) for name in one)
    network = history()
    torch.manual_seed(1)
    choose(network, Choice("lora", rank=2), seed=6)
    assert torch.equal(torch.rand(1), expected)


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(ConfigError, match=r"what learns must be one of full, frozen, .*, is 'magic'"):
        Choice("magic")
    with pytest.raises(ConfigError, match="placement of adapters must be houlsby or pfeiffer, is 'left'"):
        Choice("adapter", placement="left")
    with pytest.raises(ConfigError, match="rank of what learns must be >= 1, is 0; raise it"):
        Choice("lora", rank=0)
    with pytest.raises(ConfigError, match="top layers must be at most the 3 there are, are 4; lower layers"):
        choose(history(), Choice("top", layers=4))
    with pytest.raises(ConfigError, match="it has no 'tail'; name one that it has"):
        choose(history(), Choice("full"), heads=("tail",))
    with pytest.raises(ConfigError, match=r"'prefix' needs a Transformer of a family .* DistilBertModel has none"):
        choose(encoder("distilbert"), Choice("prefix"))
    with pytest.raises(ConfigError, match=r"'adapter' needs a Transformer of a family .* Sequential has none"):
        choose(nn.Sequential(nn.Linear(2, 2)), Choice("adapter"))


@pytest.mark.parametrize("method", ["lora", "adapter", "prefix"])
def test_nothing_is_put_beside_what_was_put_in_before(method):
    network = history()
    chosen = choose(network, Choice(method))
    with pytest.raises(ConfigError, match="must be free of earlier adapters to choose what learns; merge or remove"):
        choose(network, Choice("full"))
    chosen.remove()
    assert choose(network, Choice("full")).num_learning == chosen.num_all - chosen.num_learning


def test_statistics_that_drift_in_training_come_back_too_and_are_part_of_the_delta():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).train()
    theta = snapshot(network)
    chosen = choose(network, Choice("lora", rank=1))
    network(torch.randn(8, 4))
    assert set(chosen.changed()) == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    chosen.merge()
    chosen.remove()
    assert all(torch.equal(one, theta[name]) for name, one in network.state_dict().items())


def test_a_network_of_no_known_family_still_takes_low_rank_maps():
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    assert choose(network, Choice("lora", rank=1)).num_learning == 8 + 6
