import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kinema.tasks.clip_split import split_clips


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=80), st.integers(0, 5))
def test_each_clip_is_in_one_part_and_groups_stay_whole(clips, seed):
    labels = np.array([label for label, _ in clips])
    groups = [f"g{group}" if group else "" for _, group in clips]
    parts = split_clips(labels, groups, seed=seed)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(clips)))
    where = {row: name for name, rows in parts.items() for row in rows.tolist()}
    for group in set(groups) - {""}:
        assert len({where[row] for row, one in enumerate(groups) if one == group}) == 1


@given(st.lists(st.integers(3, 30), min_size=1, max_size=5), st.integers(0, 5))
def test_each_part_has_each_class_of_three_clips_and_about_its_share(sizes, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    parts = split_clips(labels, [""] * len(labels), seed=seed)
    for number, size in enumerate(sizes):
        counts = [int((labels[rows] == number).sum()) for rows in parts.values()]
        assert min(counts) >= 1
        assert all(abs(count - share * size) <= 1.5 for count, share in zip(counts, (0.6, 0.25, 0.15), strict=True))


def test_the_division_follows_from_the_seed():
    labels = np.zeros(40, dtype=np.int64)
    first, again, other = (split_clips(labels, [""] * 40, seed=seed)["test"].tolist() for seed in (1, 1, 2))
    assert first == again != other
