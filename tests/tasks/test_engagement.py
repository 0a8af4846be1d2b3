import numpy as np
import pytest
import torch

from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.flm.draws import Draws
from kinema.steps.engagement import compare_head, train_engagement
from kinema.tasks.engagement import EngagementConfig, EngagementModel, blend, fresh_network
from kinema.tasks.engagement_labels import EngagementLabels
from kinema.tasks.engagement_learner import EngagementLearner
from kinema.tasks.row_inputs import FieldInput, JoinedInput, NumberInput
from kinema.training.fitting import FitOptions

ROWS = 60
TRAIN, VALID = np.arange(40), np.arange(40, ROWS)
ALL = ("click", "like", "share", "finish", "watch")


def world():
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((ROWS, 3))
    labels = {head: (numbers[:, place % 3] > 0).astype(float) for place, head in enumerate(ALL[:-1])}
    labels["like"][::3] = np.nan
    duration = rng.integers(5000, 60000, ROWS).astype(float)
    watch = duration * rng.random(ROWS)
    watch[::4] = np.nan
    return numbers, EngagementLabels(labels, watch, duration)


def inputs(numbers):
    torch.manual_seed(0)
    ids = np.arange(ROWS)[:, None] % 7
    return JoinedInput(NumberInput(numbers, TRAIN), FieldInput(ids, (7,), width=4))


def learner(heads=ALL, **changes):
    numbers, labels = world()
    config = EngagementConfig(heads=heads, widths=(8,), **changes)
    return EngagementLearner(inputs(numbers), labels, train_rows=TRAIN, valid_rows=VALID, config=config)


@pytest.mark.parametrize("watch", ["ordinal", "quantile", "regression"])
@pytest.mark.parametrize("heads", [ALL, ("like",), ("watch",), ("click", "watch")])
def test_any_heads_learn_and_tell(heads, watch):
    one = learner(heads, watch=watch)
    loss = one.loss(np.arange(16), Draws(0))
    loss.backward()
    assert torch.isfinite(loss)
    found = one.validate()
    assert {"watch.loss" if head == "watch" else f"{head}.log_loss" for head in heads} <= set(found)
    assert all(np.isfinite(value) for value in found.values())
    told = one.model().predict(VALID, duration_ms_N=np.full(len(VALID), 9000.0))
    for head in heads:
        assert told[head].dtype == np.float32
        assert ((told[head] >= 0) & (told[head] <= 1)).all()


@pytest.mark.parametrize("weighting", ["fixed", "uncertainty", "conflicts"])
@pytest.mark.parametrize("sharing", ["separate", "shared_bottom", "mmoe", "ple"])
def test_every_sharing_and_weighting_trains_and_is_kept(sharing, weighting, tmp_path):
    numbers, labels = world()
    options = FitOptions(metric="loss", batch_size=16, learning_rate=1e-2, max_epochs=3)
    config = EngagementConfig(heads=ALL, sharing=sharing, weighting=weighting, widths=(8,), dropout=0.1)
    rows = {"train_rows": TRAIN, "valid_rows": VALID}
    runs = [train_engagement(inputs(numbers), labels, **rows, config=config, options=options, seed=3) for _ in range(2)]
    durations = labels.duration_ms_N[VALID]
    first, again = (one.model.predict(VALID, duration_ms_N=durations) for one in runs)
    runs[0].model.save(tmp_path / "engagement", seed=3)
    loaded = EngagementModel.load(tmp_path / "engagement", inputs(np.zeros_like(numbers)))
    reader = JoinedInput(runs[0].model.network.inputs.parts[0], loaded.network.inputs.parts[1])
    kept = loaded.predict(VALID, inputs=reader, duration_ms_N=durations)
    for head, values in first.items():
        assert np.array_equal(values, again[head])
        assert np.array_equal(values, kept[head])


def test_missing_labels_neither_count_nor_pull():
    numbers, labels = world()
    config = EngagementConfig(heads=("like",), widths=(8,), sharing="shared_bottom")
    changed = EngagementLabels({"like": labels.binary["like"].copy()})
    one, known = (
        EngagementLearner(inputs(numbers), labels, train_rows=rows, valid_rows=VALID, config=config)
        for rows in (TRAIN, TRAIN[np.isfinite(changed.binary["like"][TRAIN])])
    )
    assert one.loss(np.arange(40), None).item() == pytest.approx(
        known.loss(np.arange(known.num_examples), None).item(), rel=1e-5
    )
    nothing = one.loss(np.array([0, 3]), None)
    nothing.backward()
    assert nothing.item() == 0


def test_task_weights_weigh_the_losses():
    only = learner(("click", "share"), sharing="shared_bottom", task_weights={"click": 2.0, "share": 0.0})
    alone = learner(("click", "share"), sharing="shared_bottom", task_weights={"share": 0.0})
    assert only.loss(TRAIN, None).item() == pytest.approx(2 * alone.loss(TRAIN, None).item())


def test_validation_of_constants_is_one():
    one = learner(("click", "watch"))
    with torch.no_grad():
        for head in one.network.heads:
            head.weight.zero_()
            head.bias.zero_()
        bias = one.network.heads[0].bias
        share = world()[1].binary["click"][TRAIN].mean()
        bias.fill_(float(np.log(share / (1 - share))))
    found = one.validate()
    assert found["click.auc"] == 0.5
    assert found["loss"] > 0.9


def test_tables_are_open_to_adversarial_training():
    assert [tuple(one.shape) for one in learner().embeddings()] == [(7, 4)]


def test_rows_that_were_not_there_are_told_by_another_input():
    one = learner(("click",))
    numbers, _ = world()
    model = one.model()
    parts = one.network.inputs.parts
    other = JoinedInput(parts[0].of(numbers[50:52]), parts[1].of(np.array([[50 % 7], [51 % 7]])))
    assert np.array_equal(
        model.predict(np.array([0, 1]), inputs=other)["click"], model.predict(np.array([50, 51]))["click"]
    )


def test_blends_agree_with_their_formulas():
    told = {"click": np.array([0.2, 0.9]), "like": np.array([0.5, 0.1])}
    assert blend(told, {"click": 1.0, "like": 3.0}) == pytest.approx([1.7, 1.2])
    assert blend(told, {"click": 1.0, "like": 2.0}, how="product") == pytest.approx([0.05, 0.009])


def test_blends_that_cannot_be_are_refused():
    told = {"click": np.array([0.2])}
    with pytest.raises(ConfigError, match="a blend must be one of sum, product, is 'mean'"):
        blend(told, {"click": 1.0}, how="mean")
    with pytest.raises(ConfigError, match="weight of 'like' has no head; known: click"):
        blend(told, {"like": 1.0})
    with pytest.raises(ConfigError, match="a blend must weigh at least one head, weighs none; known: click"):
        blend(told, {})


def test_configurations_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="sharing must be one of separate, shared_bottom, mmoe, ple, is 'moe'"):
        EngagementConfig(heads=("click",), sharing="moe")
    with pytest.raises(ConfigError, match="heads must be different and one at least, are none"):
        EngagementConfig(heads=())
    with pytest.raises(ConfigError, match="task_weights names 'like', which is no head; known: click"):
        EngagementConfig(heads=("click",), task_weights={"like": 1.0})
    with pytest.raises(ConfigError, match="num_thresholds and num_groups must be >= 1, are 0 and 20"):
        EngagementConfig(heads=("watch",), num_thresholds=0)
    with pytest.raises(ConfigError, match="an input must have a width >= 1, Linear has None"):
        fresh_network(torch.nn.Linear(2, 2), EngagementConfig(heads=("click",)), seed=0)


def test_labels_that_cannot_be_are_refused():
    one = np.ones(2)
    with pytest.raises(DataError, match="a binary head must not be called 'watch'"):
        EngagementLabels({"watch": one})
    with pytest.raises(DataError, match="labels must be columns of one length, at least one with rows, got none"):
        EngagementLabels({})
    with pytest.raises(DataError, match="label 'click' must be 0, 1 or missing, is 2 at row 1"):
        EngagementLabels({"click": np.array([0.0, 2.0])})
    with pytest.raises(DataError, match="watch time must come with duration_ms_N"):
        EngagementLabels({}, one)
    with pytest.raises(DataError, match="duration_ms must be > 0 where watch_ms is known, got 0 ms at row 1"):
        EngagementLabels({}, one, np.array([1.0, 0.0]))
    with pytest.raises(DataError, match="head 'like' has no labels; known: click"):
        EngagementLabels({"click": one}).only(("like",))
    numbers, _ = world()
    labels = EngagementLabels({"click": np.where(np.arange(ROWS) < 40, 1.0, np.nan)})
    with pytest.raises(DataError, match="head 'click' must have labels in validation, has none there"):
        EngagementLearner(
            inputs(numbers), labels, train_rows=TRAIN, valid_rows=VALID, config=EngagementConfig(heads=("click",))
        )


def test_predictions_and_artefacts_that_do_not_fit_are_refused(tmp_path):
    one = learner(("watch",), watch="regression").model()
    with pytest.raises(DataError, match="watch time by regression needs duration_ms_N"):
        one.predict(VALID)
    with pytest.raises(DataError, match="each row must have a duration_ms, got 1 for 20 rows"):
        one.predict(VALID, duration_ms_N=np.ones(1))
    one.save(tmp_path / "engagement")
    with pytest.raises(DataError, match="the input must have the shape of the one that 'engagement' was trained with"):
        EngagementModel.load(tmp_path / "engagement", NumberInput(np.ones((2, 5))))
    with pytest.raises(NotBuiltError, match="no engagement artefact in 'other'"):
        EngagementModel.load(tmp_path / "other", NumberInput(np.ones((2, 5))))


def test_a_comparison_says_what_the_paired_rows_say():
    single = np.array([1.0, 1.2, 0.9, 1.1])
    assert compare_head("like", single - 0.5, single).verdict == "helps"
    assert compare_head("like", single + 0.5, single).verdict == "hurts"
    even = compare_head("like", single + np.array([0.5, -0.5, 0.5, -0.5]), single)
    assert even.verdict == "no difference"
    assert "like: sharing makes no difference" in str(even)
    with pytest.raises(DataError, match="losses of 'like' must be of the same rows"):
        compare_head("like", np.array([np.nan, 1.0]), np.array([1.0, 1.0]))
