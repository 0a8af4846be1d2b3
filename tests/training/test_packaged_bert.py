"""The packaged reader learns by way of transformers, and serves what its weights can hold."""

import pytest
import torch
import transformers

from kinema.encoders.small_bert import BertShape, SmallBert
from kinema.errors import ConfigError
from kinema.training.packaged_bert import as_reader, trainable
from kinema.training.parameter_choice import Choice, choose
from kinema.training.parameter_delta import put_on, save_delta
from tiny_encoders import SMALL

TOKENS = torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


@pytest.fixture
def reader():
    transformers.set_seed(0)
    config = transformers.BertConfig(**SMALL, vocab_size=30, intermediate_size=64, max_position_embeddings=12)
    sizes = {name: getattr(config, name) for name in BertShape.__dataclass_fields__}
    network = transformers.BertModel(config, add_pooling_layer=False)
    return SmallBert(BertShape(**sizes), network.state_dict())


def says(network):
    with torch.inference_mode():
        return network(input_ids=TOKENS, attention_mask=MASK).last_hidden_state * MASK.unsqueeze(-1)


def stir(chosen):
    torch.manual_seed(1)
    with torch.no_grad():
        for one in chosen.network.parameters():
            if one.requires_grad:
                one.add_(0.1 * torch.randn_like(one))


@pytest.mark.parametrize("method", ["full", "top", "lora"])
def test_what_was_learnt_is_served_by_the_reader(reader, method, tmp_path):
    before = says(reader)
    network = trainable(reader)
    assert torch.allclose(says(network), before, atol=1e-5)
    chosen = choose(network, Choice(method, layers=1, rank=2))
    stir(chosen)
    save_delta(chosen, tmp_path / "delta")
    expected = says(network)
    assert (expected - before).abs().max() > 0.01
    assert torch.equal(says(reader), before)
    again = put_on(trainable(reader), tmp_path / "delta")
    again.merge()
    assert torch.allclose(says(as_reader(again.network, reader)), expected, atol=1e-5)


@pytest.mark.parametrize("method", ["lora", "adapter", "prefix"])
def test_what_lies_beside_the_weights_is_refused(reader, method):
    chosen = choose(trainable(reader), Choice(method))
    with pytest.raises(
        ConfigError, match=r"the packaged reader needs the weights .* does not fit; merge what was learnt"
    ):
        as_reader(chosen.network, reader)
