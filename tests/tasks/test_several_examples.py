"""Examples of several tasks: one cut for all, and offsets that do not know the label they stand under."""

import numpy as np
import pytest

from kinema.errors import ConfigError, DataError
from kinema.tasks.several import SeveralConfig
from kinema.tasks.several_examples import Offsets, TaskRows, cut_together


def rows(name, meaning, times, labels):
    nobody = np.zeros(len(times), np.int64)
    return TaskRows(name, meaning, nobody, nobody, np.asarray(times, np.int64), np.asarray(labels, np.float32))


def test_all_tasks_are_cut_where_the_examples_of_all_together_say():
    early = rows("rating", "value", np.arange(0, 90), np.ones(90))
    late = rows("click", "chance", np.arange(60, 160), np.tile([0, 1], 50))
    found = cut_together({"rating": early, "click": late}, fewest=1, shares=(0.4, 0.45))
    times = np.sort(np.concatenate([early.times_ms_N, late.times_ms_N]))
    first, second = times[int(0.4 * 190)], times[int(0.45 * 190)]
    for one in found.values():
        moments = {part: one.rows.times_ms_N[chosen] for part, chosen in one.parts.items()}
        assert moments["train"].max() < first <= moments["valid"].min()
        assert moments["valid"].max() < second <= moments["test"].min()
        assert sum(map(len, one.parts.values())) == len(one.rows)


def test_a_part_with_too_few_examples_is_named():
    clicks = rows("click", "chance", np.arange(100), [*[1] * 95, *[0] * 5])
    with pytest.raises(
        DataError, match="task 'click' must have at least 2 examples of either answer in its train part"
    ):
        cut_together({"click": clicks}, fewest=2)
    with pytest.raises(DataError, match="task 'next' must have at least 20 examples in its valid part, has 10"):
        cut_together({"next": rows("next", "choice", np.arange(100), np.ones(100))}, fewest=20)
    with pytest.raises(DataError, match="tasks next must have examples, have none"):
        cut_together({"next": rows("next", "choice", [], [])}, fewest=1)


def test_offsets_of_a_training_row_are_those_of_the_others():
    random = np.random.default_rng(0)
    users, items = random.integers(0, 4, 30), random.integers(0, 5, 30)
    some = TaskRows("rating", "value", users, items, np.arange(30), random.integers(1, 6, 30).astype(np.float32))
    train = np.arange(24)
    offsets = Offsets.fit(some, train, num_users=4, num_items=5)
    own = offsets.without_own(some, train) * offsets.deviation
    gaps = some.labels_N[train].astype(np.float64) - offsets.mean
    for row in (0, 7, 23):
        others = [one for one in train if one != row and items[one] == items[row]]
        assert own[row, 1] == pytest.approx(sum(gaps[one] for one in others) / (len(others) + 5), abs=1e-5)
    changed = TaskRows("rating", "value", users, items, some.times_ms_N, some.labels_N.copy())
    changed.labels_N[7] += 3.0
    np.testing.assert_allclose(offsets.without_own(changed, train)[7], own[7] / offsets.deviation, atol=1e-6)


def test_users_and_items_that_came_later_have_no_offset():
    offsets = Offsets(3.0, 2.0, np.float32([1.0]), np.float32([4.0]))
    assert offsets.of(np.array([0, 5]), np.array([0, 9])).tolist() == [[0.5, 2.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("change", "message"), [({"hidden": 0}, "hidden and num_negatives >= 1"), ({"dropout": 1.0}, "dropout in")]
)
def test_sizes_that_cannot_be_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        SeveralConfig(tasks={"click": "chance"}, **change)
