"""The step cut into pieces against the plain definition: one graph, one loss, one backward pass."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from kinema.flm.batch import Negatives, as_batch
from kinema.flm.config import COLLAB_TERMS, CONTENT_TERMS, FLMConfig
from kinema.flm.fusion import ItemContent, content_from
from kinema.flm.network import FLMNetwork
from kinema.tasks.pretraining import PretrainingTask, Touched
from kinema.training.optimizer import DenseAdam, Optimizer, RowAdam
from kinema.training.step import dense_parameters, side_by_side

NUM_ITEMS, WIDTH = 20, 6
PLAIN = FLMConfig(
    d_model=8, num_blocks=1, num_heads=2, max_length=5, dropout=0.0, id_dropout=0.0, modality_dropout=0.0,
    profile_dropout=0.0, auxiliary_every=1, weight_collab=0.0, content_terms=("next",),
)  # fmt: skip
NEGATIVES = Negatives(torch.tensor([1, 4, 7, 9, 15, 18]))
CORRECTED = Negatives(NEGATIVES.items_K, torch.linspace(-3, -1, 6))


def content(num_modalities=2):
    torch.manual_seed(1)
    vectors = [torch.nn.functional.normalize(torch.randn(NUM_ITEMS, WIDTH), dim=-1) for _ in range(num_modalities)]
    ones = [torch.ones(NUM_ITEMS)] * num_modalities
    return content_from([f"m{m}" for m in range(num_modalities)], vectors, ones, ones, NUM_ITEMS)


def made(config, its_content):
    torch.manual_seed(0)
    widths = dict.fromkeys(its_content.names, WIDTH)
    network = FLMNetwork(config, num_items=NUM_ITEMS, modality_widths=widths, profile_width=0)
    neighbours = torch.arange(NUM_ITEMS).roll(1).unsqueeze(1)
    task = PretrainingTask(
        config,
        content=its_content,
        profiles_UP=None,
        warm_V=torch.ones(NUM_ITEMS, dtype=torch.bool),
        neighbours_VJ=neighbours,
        neighbour_weights_VJ=torch.ones(NUM_ITEMS, 1),
    )
    return network, task


def batch():
    rows = np.array([[3, 5, 4, 9, 11], [2, 0, 6, 13, -1], [8, 16, 17, -1, -1], [1, 19, -1, -1, -1]])
    return as_batch(rows, np.arange(4))


def one_graph(network, task, config, negatives):
    """The same loss without cuts, and its gradients."""
    rows_R, places_K, windows = task.rows(batch(), negatives)
    items_RD, content_RD = network.tower(rows_R, task.content)
    touched = Touched(
        rows_R, items_RD, content_RD, network.tower.bias(rows_R), places_K, negatives and negatives.log_rate_K
    )
    parts = task.window_losses(network, touched, windows, None)
    weights = task.weights(share=1.0)
    total = sum(weights[name] * one for name, one in parts.items())
    tables = [network.tower.ids_VD, network.tower.bias_V]
    wanted = [*(one for one in tables if config.use_ids), *dense_parameters(network)]
    return parts, torch.autograd.grad(total, wanted, allow_unused=True)


class NoDraws:
    """Every choice of a step without chance."""

    def __init__(self, seed):
        pass

    def dropout(self, x, _share):
        return x

    def kept(self, shape, _share):
        return torch.ones(shape, dtype=torch.bool)


@pytest.mark.parametrize("negatives", [None, NEGATIVES, CORRECTED])
@pytest.mark.parametrize(("use_ids", "num_modalities"), [(True, 2), (True, 0), (False, 1)])
def test_the_pieces_add_up_to_the_gradient_of_the_whole(monkeypatch, use_ids, num_modalities, negatives):
    config = PLAIN.with_changes(use_ids=use_ids, use_content=num_modalities > 0, weight_content=0.0)
    network, task = made(config, content(num_modalities) if num_modalities else ItemContent.empty(NUM_ITEMS))
    monkeypatch.setattr("kinema.training.step.Draws", NoDraws)
    with side_by_side(network, task, num_pieces=3) as stepper:
        found = stepper.gradients(batch(), negatives, num_pieces=3, auxiliary=True, share=1.0, seed=0)
    parts, expected = one_graph(network, task, config, negatives)
    assert found.losses["sequential"] == pytest.approx(float(parts["sequential"].detach()), rel=1e-5)
    if use_ids:
        for table, rows in zip(expected[:2], (found.ids_RD, found.bias_R), strict=True):
            torch.testing.assert_close(rows, table[found.rows_R], rtol=1e-4, atol=1e-6)
            untouched = torch.ones(NUM_ITEMS, dtype=torch.bool)
            untouched[found.rows_R] = False
            assert not table[untouched].any()
    for one, other in zip(found.dense, expected[2:] if use_ids else expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_auxiliary_losses_are_computed_only_where_they_are_asked_for():
    config = PLAIN.with_changes(weight_collab=0.3, content_terms=("next", "align", "modalities", "reconstruction"))
    network, task = made(config, content())
    with side_by_side(network, task, num_pieces=2) as stepper:
        found = [
            stepper.gradients(batch(), NEGATIVES, num_pieces=2, auxiliary=auxiliary, share=1.0, seed=0)
            for auxiliary in (True, False)
        ]
    assert set(found[0].losses) == {"sequential", "collaborative", "content"}
    assert set(found[1].losses) == {"sequential"}


@pytest.mark.parametrize(
    ("off", "left"),
    [
        ({"weight_sequence": 0.0}, {"collaborative", "content"}),
        ({"weight_collab": 0.0}, {"sequential", "content"}),
        ({"collab_terms": ()}, {"sequential", "content"}),
        ({"weight_content": 0.0}, {"sequential", "collaborative"}),
        ({"content_terms": ()}, {"sequential", "collaborative"}),
    ],
)
def test_each_loss_can_be_switched_off(off, left):
    config = PLAIN.with_changes(**({"weight_collab": 0.3} | off))
    network, task = made(config, content())
    with side_by_side(network, task, num_pieces=2) as stepper:
        found = stepper.gradients(batch(), NEGATIVES, num_pieces=2, auxiliary=True, share=1.0, seed=0)
        pairs = [*zip(found.dense, stepper.dense, strict=True)]
    assert set(found.losses) == left
    encoder = {id(one) for one in network.encoder.parameters()}
    assert any(one is not None and id(parameter) in encoder for one, parameter in pairs) == ("sequential" in left)


def test_the_parts_of_a_loss_add_up_to_it():
    def auxiliary(name, **terms):
        config = PLAIN.with_changes(weight_collab=0.3, memory_query_decay=1e-9, **terms)
        network, task = made(config, content())
        with side_by_side(network, task, num_pieces=1) as stepper:
            return stepper.gradients(batch(), NEGATIVES, num_pieces=1, auxiliary=True, share=1.0, seed=0).losses[name]

    for name, terms, known in (
        ("collaborative", "collab_terms", COLLAB_TERMS),
        ("content", "content_terms", CONTENT_TERMS),
    ):
        parts = [auxiliary(name, **{terms: (one,)}) for one in known]
        assert all(parts)
        assert sum(parts) == pytest.approx(auxiliary(name, **{terms: known}), rel=1e-5)


def test_auxiliary_losses_count_for_the_steps_that_leave_them_out():
    _, task = made(PLAIN.with_changes(auxiliary_every=4, weight_collab=0.3), content())
    assert task.weights(share=0.5)["collaborative"] == pytest.approx(0.5 * 4 * 0.3)
    assert task.weights(share=0.5)["sequential"] == 1


def test_windows_fall_into_pieces_as_long_as_their_longest_window():
    _, task = made(PLAIN, content())
    _, _, windows = task.rows(batch(), NEGATIVES)
    pieces = windows.pieces(2)
    assert [tuple(one.places_BL.shape) for one in pieces] == [(2, 5), (2, 3)]
    assert sum(one.num_targets for one in pieces) == windows.num_targets == 14
    assert len(windows.pieces(9)) == 4


def test_touched_rows_hold_each_item_once_and_the_places_point_at_them():
    _, task = made(PLAIN, content())
    rows_R, places_K, windows = task.rows(batch(), NEGATIVES)
    items_BL = batch().items_BL
    assert rows_R.tolist() == sorted(set(NEGATIVES.items_K.tolist()) | set(items_BL[items_BL >= 0].tolist()))
    assert torch.equal(rows_R[places_K], NEGATIVES.items_K)
    assert torch.equal(rows_R[windows.places_BL][windows.valid_BL], items_BL[items_BL >= 0])


def test_rows_that_are_touched_at_every_step_move_as_under_adam():
    torch.manual_seed(0)
    table, rows = torch.randn(5, 3), torch.tensor([0, 2, 3])
    reference = torch.nn.Parameter(table[rows].clone())
    adam = torch.optim.Adam([reference], lr=0.01, betas=(0.9, 0.98), eps=1e-8)
    before, sparse = table.clone(), RowAdam(table)
    for step in range(1, 8):
        gradient = torch.randn(3, 3)
        reference.grad = gradient.clone()
        adam.step()
        sparse.update(rows, gradient, learning_rate=0.01, step=step)
    torch.testing.assert_close(table[rows], reference.detach())
    assert torch.equal(table[[1, 4]], before[[1, 4]])


def test_dense_parameters_move_as_under_adamw_and_those_without_a_gradient_stand_still():
    torch.manual_seed(0)
    shapes = ((3, 4), (5,), (2, 2))
    ours = [torch.randn(shape) for shape in shapes]
    theirs = [torch.nn.Parameter(one.clone()) for one in ours]
    groups = [{"params": theirs[:2], "weight_decay": 0.1}, {"params": theirs[2:], "weight_decay": 0.0}]
    reference = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-8)
    adam = DenseAdam(ours, [0.1, 0.1, 0.0])
    for step in range(1, 9):
        gradients = [torch.randn(shape) if place != 1 or step % 3 == 0 else None for place, shape in enumerate(shapes)]
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient
        for group in reference.param_groups:
            group["lr"] = 0.1 / step
        reference.step()
        before = ours[1].clone()
        adam.update(gradients, learning_rate=0.1 / step)
        assert torch.equal(before, ours[1]) == (gradients[1] is None)
    torch.testing.assert_close(ours, [one.detach() for one in theirs])
    assert adam.steps.tolist() == [8, 2, 8]
    adam.update([None] * 3, learning_rate=1.0)
    torch.testing.assert_close(ours, [one.detach() for one in theirs])


def test_training_does_without_the_compiler_that_torch_s_own_optimizers_bring_along():
    code = (
        "import sys; import numpy as np; from kinema.flm.config import FLMConfig; from kinema.store.histories import Histories\n"
        "from kinema.training.loop import pretrain\n"
        "log = Histories.from_lists([[0, 1, 2], [2, 1, 0]], 3)\n"
        "pretrain(train=log, valid=None, features={}, profiles=None, item_ids=list('abc'), config=FLMConfig(d_model=8, "
        "max_epochs=1), seed=0)\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"


def test_the_state_of_the_optimizer_survives_being_saved():
    network, task = made(PLAIN, content())

    def stepped(optimizer, times):
        with side_by_side(network, task, num_pieces=2) as stepper:
            for step in range(1, times + 1):
                found = stepper.gradients(batch(), NEGATIVES, num_pieces=2, auxiliary=True, share=1.0, seed=step)
                tables = {"ids": found.ids_RD, "bias": found.bias_R}
                optimizer.step(found.dense, found.rows_R, tables, learning_rate=0.01, step=step)

    one = Optimizer(network, dense=dense_parameters(network), weight_decay=0.01)
    stepped(one, 3)
    other = Optimizer(network, dense=dense_parameters(network), weight_decay=0.01)
    other.load_state(one.state())
    assert one.state().keys() == other.state().keys()
    assert all(torch.equal(value, other.state()[name]) for name, value in one.state().items())
