"""The packaged encoders on real files: one content in eight containers, beside fifteen others."""

import numpy as np
import polars as pl
import pytest

from kinema.encoders.extract import extract, load_features
from kinema.encoders.frames import FrameTokens
from kinema.encoders.motion import load_motion_encoder
from kinema.encoders.vision import load_frame_encoder


@pytest.fixture(scope="module")
def real(data_dir, tmp_path_factory):
    root = data_dir / "clips"
    paths = sorted(str(path.relative_to(root)) for path in root.glob("*/*") if path.suffix != ".csv")
    items = pl.DataFrame({"num": range(len(paths)), "id": paths, "title": [""] * len(paths), "media_path": paths})
    folder = tmp_path_factory.mktemp("features")
    clips = {
        "frames": FrameTokens(load_frame_encoder("packaged:efficientnet-lite0"), num_frames=4),
        "motion": load_motion_encoder("flow:dis"),
    }
    report = extract(items=items, media_root=root, folder=folder, clips=clips, workers=1)
    return paths, report, load_features(folder, items)


def standardised_cosines(vectors):
    standard = (vectors - vectors.mean(axis=0)) / (vectors.std(axis=0) + 1e-6)
    standard /= np.linalg.norm(standard, axis=1, keepdims=True)
    return standard @ standard.T


def test_every_real_clip_is_extracted(real):
    paths, report, features = real
    assert len(paths) == 23
    assert report.rejects == ()
    assert report.notices == ()
    assert all(counts.computed == len(paths) for counts in report.counts.values())
    assert all(one.present_V.all() and (one.quality_V == 1).all() for one in features.values())


@pytest.mark.parametrize("modality", ["frames", "motion"])
def test_each_container_has_the_seven_others_as_nearest_neighbours(real, modality):
    paths, _, features = real
    same = np.array([path.startswith("containers/") for path in paths])
    assert same.sum() == 8
    cosines = standardised_cosines(features[modality].vectors_VD)
    assert cosines[same][:, same].min() > 3 * cosines[same][:, ~same].max()
