"""The rendered clips that other tests rest on."""

import pytest

from kinema.errors import ConfigError
from kinema.testing.clips import render_clip


def test_the_same_seed_renders_the_same_file(tmp_path):
    first, again, other = (
        render_clip(tmp_path / name, seed=seed, seconds=0.5).read_bytes()
        for name, seed in (("a.avi", 1), ("b.avi", 1), ("c.avi", 2))
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(("name", "motion"), [("a.mp4", "wobble"), ("a.txt", "still")])
def test_unknown_motions_and_containers_are_named(tmp_path, name, motion):
    with pytest.raises(ConfigError, match=f"cannot render '{name}' with motion '{motion}'; known: still, "):
        render_clip(tmp_path / name, motion=motion)
