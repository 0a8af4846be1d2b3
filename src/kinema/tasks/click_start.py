"""A click network starts where an earlier one ended: values that both know keep their vectors.

For new rows of the same table, and for more columns: on factor models, fields of few values that come in from the beginning learn what
single values tell so fast that pairs hardly get a chance (docs/tasks-click.md).

"""

from collections.abc import Iterator

import torch

from kinema.errors import ConfigError
from kinema.tasks.click import ClickModel
from kinema.tasks.click_networks import ClickNetwork
from kinema.tasks.fields import Field, Fields

_RARE_AND_MISSING = 2


def start_from(network: ClickNetwork, fields: Fields, earlier: ClickModel) -> int:
    """Copy what an earlier model has learnt into a fresh network.

    Vectors are copied value by value, where a field of that name is of the same kind. Layers are copied where they have the same shapes
    and read the same fields in the same order; else they start afresh.

    Args:
        network: Fresh; changed in place.
        fields: Of its inputs.
        earlier: A trained model.

    Returns:
        Rows of the table of vectors that came from the earlier model.

    Raises:
        ConfigError: The vectors are not of the same width, or no field is the same.
    """
    width, before = network.config.width, earlier.config.width
    if width != before:
        raise ConfigError(
            f"width must be that of the model to start from, {before}, is {width}; add: --width {before}, or start afresh"
        )
    pairs = [pair for now, then in _same_fields(fields, earlier.fields) for pair in _same_rows(now, then)]
    if not pairs:
        raise ConfigError(
            f"the model to start from must share a field with the table, has: {', '.join(earlier.fields.columns())}; "
            "start afresh, or from another model"
        )
    here_R, there_R = (torch.tensor(rows) for rows in zip(*pairs, strict=True))
    with torch.no_grad():
        network.vectors.table[here_R] = earlier.network.vectors.table[there_R]
        network.bias.copy_(earlier.network.bias)
    if [_kind(one) for one in fields.fields] == [_kind(one) for one in earlier.fields.fields]:
        _copy_layers(network, earlier.network)
    return len(pairs)


def _kind(field: Field) -> tuple[str, str, int, str | None]:
    return field.spec.name, field.spec.kind, field.spec.buckets, field.spec.target


def _same_fields(now: Fields, then: Fields) -> Iterator[tuple[Field, Field]]:
    known = {_kind(one): one for one in then.fields}
    for field in now.fields:
        if field.size and _kind(field) in known:
            yield field, known[_kind(field)]


def _same_rows(now: Field, then: Field) -> Iterator[tuple[int, int]]:
    """Pairs of rows, those of rare and of missing values included."""
    if now.spec.buckets or not (now.vocabulary or then.vocabulary):
        yield from ((now.first + place, then.first + place) for place in range(now.size))
        return
    yield from ((now.first + place, then.first + place) for place in range(_RARE_AND_MISSING))
    places = {value: place for place, value in enumerate(then.vocabulary, start=then.first + _RARE_AND_MISSING)}
    for place, value in enumerate(now.vocabulary, start=now.first + _RARE_AND_MISSING):
        if value in places:
            yield place, places[value]


def _copy_layers(network: ClickNetwork, earlier: ClickNetwork) -> None:
    state = network.state_dict()
    known = {name: one for name, one in earlier.state_dict().items() if not name.startswith("vectors.")}
    fitting = {name: one for name, one in known.items() if name in state and state[name].shape == one.shape}
    if len(fitting) == len(known):
        network.load_state_dict({**state, **fitting})
