"""The packaged reader `kinema.encoders.small_bert.SmallBert` lent to transformers to learn, and taken back to serve.

The reader is built for a fast start: no modules, weights that stay mapped, no dropout. It cannot learn itself, and it has no room
for what lies beside its weights. What changes the weights, though, it serves at no cost: full, top layers, merged LoRA.
"""

from dataclasses import asdict

import torch
from torch import nn

from kinema.encoders.small_bert import SmallBert
from kinema.errors import ConfigError
from kinema.extras import require


def trainable(reader: SmallBert) -> nn.Module:
    """A network of transformers with the reader's numbers, for `kinema.training.parameter_choice.choose`.

    Args:
        reader: Stays as it is.

    Returns:
        ``BertModel`` without a pooler, in evaluation mode; its parameters have the reader's names and say the same.

    Raises:
        MissingExtraError: transformers is not installed.
    """
    transformers = require("transformers")
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = transformers.BertModel(
            transformers.BertConfig(**asdict(reader.config)), add_pooling_layer=False
        )
    network.load_state_dict({name: one.clone() for name, one in reader.state_dict().items()})
    return network.eval()


def as_reader(network: nn.Module, like: SmallBert) -> SmallBert:
    """The reader of what such a network has learnt.

    Args:
        network: From `trainable`, with nothing beside its weights: merged, or changed in its weights alone.
        like: The reader it was made of.

    Returns:
        A reader of its own.

    Raises:
        ConfigError: Something lies beside the weights, or the network is another.
    """
    state = {name: one.detach().clone() for name, one in network.state_dict().items()}
    wanted = like.config.tensors()
    odd = sorted(state.keys() ^ wanted.keys()) or [name for name in wanted if tuple(state[name].shape) != wanted[name]]
    if odd:
        raise ConfigError(
            f"the packaged reader needs the weights of its own layers and nothing else, '{odd[0]}' does not fit; "
            "merge what was learnt, or serve the network through transformers"
        )
    return SmallBert(like.config, state)
