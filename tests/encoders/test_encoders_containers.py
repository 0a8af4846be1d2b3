"""One clip in eight containers, ingested and extracted as a user would: every modality says the same of all of them."""

import numpy as np
import pytest

from kinema.encoders.extract import load_features
from kinema.project import Project

MODALITIES = ("text", "frames", "motion", "sound")


@pytest.fixture(scope="module")
def eight(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("eight") / "shop"
    with Project.init(folder) as project:
        project.ingest(videos=data_dir / "clips" / "containers")
        report = project.extract()
        items = project.store.items()
        return report, load_features(project.artifacts / "features", items)


def test_the_default_encoders_extract_all_eight_wholly(eight):
    report, features = eight
    assert report.rejects == ()
    assert set(features) == set(MODALITIES)
    for one in features.values():
        assert one.present_V.tolist() == [True] * 8
        assert (one.quality_V == 1).all()


@pytest.mark.parametrize("modality", MODALITIES)
def test_all_eight_have_one_vector_but_for_a_cosine_of_a_hundredth(eight, modality):
    vectors = eight[1][modality].vectors_VD.astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (vectors @ vectors.T).min() >= 0.99
