"""A click model starts from an earlier one: what both know is the same, the rest is fresh."""

import numpy as np
import polars as pl
import pytest
import torch

from kinema.errors import ConfigError
from kinema.tasks.click import ClickModel, click_network
from kinema.tasks.click_networks import ClickConfig
from kinema.tasks.click_start import start_from
from kinema.tasks.field_specs import parse_spec
from kinema.tasks.fields import fit_fields

EARLIER = pl.DataFrame(
    {"user": ["a", "a", "b", "b"], "city": ["x", "y", "x", "y"], "price": [1.0, 2.0, 3.0, 4.0], "label": [0, 1, 0, 1]}
)
LATER = EARLIER.with_columns(user=pl.Series(["c", "c", "a", "a"]), colour=pl.Series(["red", "red", "blue", "blue"]))
SPECS = ("user=category", "city=category,buckets=5", "price=number")


def model(frame, *specs, config=None, seed=1):
    config = config or ClickConfig(width=3, hidden=(4,))
    fields = fit_fields(frame, [parse_spec(one) for one in specs])
    network = click_network(config, fields, seed=seed).eval()
    with torch.no_grad():
        network.bias.fill_(0.5)
    return ClickModel(config, fields, network, "label", {})


def vectors(one, frame):
    return one.network.vectors.table[torch.from_numpy(one.fields.apply(frame).rows_NF).long()].detach()


def test_values_that_both_know_keep_their_vectors_and_new_ones_are_fresh():
    before, now = model(EARLIER, *SPECS), model(LATER, *SPECS, "colour=category", seed=2)
    fresh = vectors(now, LATER).clone()
    copied = start_from(now.network, now.fields, before)
    frame = pl.concat([LATER, EARLIER.with_columns(colour=pl.lit("red"))])
    held, came = vectors(now, frame), vectors(before, frame)
    torch.testing.assert_close(held[:, 1:3], came[:, 1:3])  # every city and price
    torch.testing.assert_close(held[2:6, 0], came[2:6, 0])  # user a
    torch.testing.assert_close(held[:2, 0], fresh[:2, 0])  # user c
    torch.testing.assert_close(held[:4, 3], fresh[:, 3])  # colours
    assert copied == before.fields.num_rows - 1  # but for user b
    assert now.network.bias.item() == 0.5


def test_the_same_fields_keep_the_layers_as_well_and_tell_the_same():
    before, now = model(EARLIER, *SPECS), model(EARLIER, *SPECS, seed=2)
    assert not np.allclose(before.predict(EARLIER), now.predict(EARLIER), atol=1e-6)
    assert start_from(now.network, now.fields, before) == before.fields.num_rows
    np.testing.assert_array_equal(before.predict(EARLIER), now.predict(EARLIER))


def test_layers_of_other_shapes_start_afresh():
    before = model(EARLIER, *SPECS)
    now = model(EARLIER, *SPECS, config=ClickConfig(width=3, hidden=(5,)), seed=2)
    kept = now.network.deep.state_dict() if now.network.deep is not None else {}
    kept = {name: one.clone() for name, one in kept.items()}
    start_from(now.network, now.fields, before)
    assert all(torch.equal(one, now.network.deep.state_dict()[name]) for name, one in kept.items())


def test_another_width_is_an_error_that_names_the_option():
    now = model(EARLIER, *SPECS, config=ClickConfig(width=4, hidden=(4,)))
    with pytest.raises(ConfigError, match="width must be that of the model to start from, 3, is 4; add: --width 3"):
        start_from(now.network, now.fields, model(EARLIER, *SPECS))


def test_nothing_in_common_is_an_error():
    now = model(LATER, "colour=category")
    with pytest.raises(ConfigError, match="must share a field with the table, has: user, city, price"):
        start_from(now.network, now.fields, model(EARLIER, *SPECS))
