"""Low-rank adapters: they start as nothing, merge into the weights, and can be put on the same network again."""

import pytest
import torch
import transformers
from torch import nn

from kinema.errors import ConfigError
from kinema.training.adapters import add_lora, apply_delta, lora_layers, merge_lora, save_difference, save_lora
from kinema.training.checkpoint import snapshot
from tiny_encoders import SMALL


def bert(seed=0):
    transformers.set_seed(seed)
    return transformers.BertModel(transformers.BertConfig(**SMALL, vocab_size=30, intermediate_size=64)).eval()


def answer(network):
    with torch.inference_mode():
        return network(input_ids=torch.tensor([[2, 7, 9, 3]])).last_hidden_state


def stir(parameters):
    torch.manual_seed(5)
    with torch.no_grad():
        for one in parameters:
            one.add_(0.1 * torch.randn_like(one))


def test_an_adapter_changes_nothing_until_it_is_trained_and_only_it_is_trained():
    network = bert()
    before, size = answer(network), sum(one.numel() for one in network.parameters())
    adapted = add_lora(network, rank=2)
    trained = [name for name, one in network.named_parameters() if one.requires_grad]
    assert torch.equal(answer(network), before)
    assert trained
    assert all("lora_" in name for name in trained)
    assert not any("pooler" in name for name in trained)
    merge_lora(adapted)
    assert sum(one.numel() for one in network.parameters()) == size


def test_a_merged_network_answers_as_the_adapted_one_and_so_does_the_base_with_the_stored_delta(tmp_path):
    network = bert()
    before = answer(network)
    adapted = add_lora(network, rank=2)
    stir(one for one in network.parameters() if one.requires_grad)
    expected = answer(network)
    assert (expected - before).abs().max() > 0.01
    size = save_lora(adapted, tmp_path, base="tiny")
    assert size < sum(4 * one.numel() for one in bert().parameters()) / 4
    assert torch.allclose(answer(merge_lora(adapted)), expected, atol=1e-5)
    assert torch.allclose(answer(apply_delta(bert(), tmp_path)), expected, atol=1e-5)


def test_a_wholly_trained_network_is_its_base_plus_the_stored_difference(tmp_path):
    network = bert()
    before = snapshot(network)
    stir(network.encoder.parameters())
    save_difference(before, network, tmp_path, base="tiny")
    again = apply_delta(bert(), tmp_path).state_dict()
    assert all(torch.allclose(again[name], value, atol=1e-6) for name, value in network.state_dict().items())


def test_pointwise_convolutions_are_adapted_and_merged_too(tmp_path):
    def build():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1))

    network, picture = build(), torch.ones(1, 3, 8, 8)
    assert lora_layers(network) == ["2"]
    adapted = add_lora(network, rank=2)
    stir(one for one in network.parameters() if one.requires_grad)
    expected = network(picture)
    save_lora(adapted, tmp_path, base="tiny")
    assert torch.allclose(merge_lora(adapted)(picture), expected, atol=1e-5)
    assert torch.allclose(apply_delta(build(), tmp_path)(picture), expected, atol=1e-5)


def test_what_torch_reads_past_a_layer_is_not_adapted():
    assert lora_layers(nn.ModuleDict({"attention": nn.MultiheadAttention(4, 1), "mlp": nn.Linear(4, 4)})) == ["mlp"]


def test_a_rank_and_a_network_without_layers_are_refused():
    with pytest.raises(ConfigError, match="LoRA needs a rank >= 1 and layers to adapt, got rank 0 and 1 layers"):
        add_lora(nn.Sequential(nn.Linear(2, 2)), rank=0)
    with pytest.raises(ConfigError, match="got rank 8 and 0 layers"):
        add_lora(nn.Sequential(nn.ReLU()))


def test_a_delta_of_another_network_or_none_at_all_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="a delta must be in 'nothing', there is none; run: kinema adapt"):
        apply_delta(bert(), tmp_path / "nothing")
    save_difference({"weight": torch.zeros(2, 2), "bias": torch.zeros(2)}, nn.Linear(2, 2), tmp_path, base="other")
    with pytest.raises(ConfigError, match=r"must be one of this network, which has no fitting '(weight|bias)'"):
        apply_delta(bert(), tmp_path)
    adapted = add_lora(nn.Sequential(nn.Linear(2, 2)), rank=2)
    save_lora(adapted, tmp_path / "lora", base="other")
    with pytest.raises(ConfigError, match="which has no fitting"):
        apply_delta(bert(), tmp_path / "lora")
