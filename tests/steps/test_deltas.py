"""Deltas of every command are listed with base and size, wherever they lie."""

import torch
from torch import nn

from kinema.flm.transfer import Delta
from kinema.steps.deltas import DeltaLine, list_all
from kinema.training.adapters import Change, save_difference
from kinema.training.parameter_choice import Choice, choose
from kinema.training.parameter_delta import save_delta


def test_every_kind_of_delta_is_listed_by_place(tmp_path):
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    before = {name: one.clone() for name, one in network.state_dict().items()}
    with torch.no_grad():
        network[0].weight += 1.0
    whole = save_difference(before, network, tmp_path / "encoders" / "text-adapted" / "delta", base="packaged:minilm")
    low = Change(network, "lora", rank=2).save(tmp_path / "encoders" / "frames-adapted" / "delta", base="vit")
    alone = save_delta(choose(network, Choice("full")), tmp_path / "alone")
    flm = Delta({"x": torch.ones(5, dtype=torch.float64)}, "abc", "d", "e").save(tmp_path / "flm-delta")
    assert list_all(tmp_path) == (
        DeltaLine("alone", "parameter-delta", alone.theta, "full", 0, 0, alone.size_bytes),
        DeltaLine("encoders/frames-adapted", "adapted encoder", "vit", "lora", 2 * (4 + 3 + 3 + 2), 0, low),
        DeltaLine("encoders/text-adapted", "adapted encoder", "packaged:minilm", "full", 12, 0, whole),
        DeltaLine("flm-delta", "flm", "FLM abc", "full", 5, 0, flm),
    )
    assert list_all(tmp_path / "alone")[0].place == "alone"
