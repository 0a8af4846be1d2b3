import numpy as np
import pytest
import torch

from kinema.encoders.pooling import pool_segments
from kinema.errors import DataError
from kinema.flm.whitening import Whitening
from kinema.tasks.clip_moments import MAX_MOMENTS, fit_projection, read_inputs
from kinema.tasks.clip_network import ClipNetwork
from planted_clips import clip_library, planted


@pytest.fixture(scope="module", name="library")
def made_library(tmp_path_factory):
    _, clips = planted(20)
    clips[3] = {"frames": clips[3]["frames"]}
    clips[4] = {"frames": np.random.default_rng(0).normal(size=(70, 12)), "motion": clips[4]["motion"]}
    return clip_library(tmp_path_factory.mktemp("tokens"), clips)


def test_inputs_are_projected_padded_and_pooled_at_two_scales(library):
    projection = fit_projection(library.tokens["frames"], np.arange(20))
    given = read_inputs(library.tokens, {"frames": projection}, [7, 4])["frames"]
    raw = library.tokens["frames"].get([7]).tokens_MD.astype(np.float32)
    white = (raw - projection.mean_E) @ projection.matrix_EW
    assert given.moments.valid_VT.sum(dim=1).tolist() == [len(raw), MAX_MOMENTS]
    np.testing.assert_allclose(given.moments.tokens_VTW[0, : len(raw)].numpy(), white, rtol=1e-5)
    assert not given.moments.tokens_VTW[0, len(raw) :].any()
    np.testing.assert_allclose(given.scales_NS[0].numpy(), pool_segments(white, statistics=("mean", "std")), rtol=1e-5)
    assert given.scales_NS.shape[1] == 2 * 3 * projection.width


def test_a_clip_without_a_modality_has_zeros_there(library):
    projections = {name: fit_projection(one, np.arange(20)) for name, one in library.tokens.items()}
    given = read_inputs(library.tokens, projections, [3])
    assert given["frames"].present.tolist() == [True]
    assert given["motion"].present.tolist() == [False]
    assert not given["motion"].scales_NS.any()


def test_logits_depend_on_a_clip_alone_and_not_on_its_padding(library):
    projections = {name: fit_projection(one, np.arange(20)) for name, one in library.tokens.items()}
    torch.manual_seed(0)
    widths = {name: one.width for name, one in projections.items()}
    network = ClipNetwork(widths, d_model=8, num_classes=4, dropout=0.3)
    together = network(read_inputs(library.tokens, projections, [0, 3, 4]))
    for row, clip in enumerate([0, 3, 4]):
        alone = network(read_inputs(library.tokens, projections, [clip]))
        torch.testing.assert_close(alone[0], together[row])


def test_tokens_that_are_not_there_or_of_another_width_are_named(library, tmp_path):
    projection = fit_projection(library.tokens["frames"], np.arange(20))
    with pytest.raises(DataError, match=r"clips must have tokens of sound, there are only frames, motion"):
        read_inputs(library.tokens, {"sound": projection}, [0])
    with pytest.raises(DataError, match=r"tokens must be 12 wide as in training, are 8"):
        read_inputs(library.tokens, {"motion": projection}, [0])
    empty = clip_library(tmp_path, [{"frames": np.ones((2, 12))}])
    with pytest.raises(DataError, match=r"clips to learn from must have moments, none of 1 has"):
        fit_projection(empty.tokens["motion"], np.arange(1))
    assert isinstance(projection, Whitening)
