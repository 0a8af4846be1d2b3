"""Extraction over a catalogue: counts, caches, rejects."""

import numpy as np
import polars as pl
import pytest
from small_catalogue import MeanColour, catalogue, make_media, run

from kinema.encoders.extract import ModalityCounts, load_features, load_tokens
from kinema.encoders.frames import FrameTokens
from kinema.encoders.motion import MotionEncoder
from kinema.encoders.pooling import SegmentPooling
from kinema.errors import ConfigError, NotBuiltError, StaleArtifactError


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    return make_media(tmp_path_factory.mktemp("media"))


def test_texts_that_are_hardly_read_count_for_less_and_are_named(tmp_path):
    items = pl.DataFrame({"num": [0, 1], "id": ["a", "b"], "title": ["a cat", "кот"]})
    report = run(items, None, tmp_path)
    assert any("hardly reads 1 of 2 texts, such as 'кот'" in notice for notice in report.notices)
    assert load_features(tmp_path, items)["text"].quality_V.tolist() == [1.0, 0.25]


def test_every_item_is_counted_once_per_modality_and_bad_clips_do_not_stop_good_ones(media, tmp_path):
    paths = [
        "c0.mp4",
        "c1.avi",
        "copy.mp4",
        None,
        "single.mp4",
        "half.avi",
        "empty.mp4",
        "renamed.mp4",
        "../secret",
        "gone.mp4",
    ]
    titles = [f"title {number}" for number in range(9)] + [""]
    report = run(catalogue(paths, titles), media, tmp_path)
    assert report.counts == {
        "text": ModalityCounts(computed=9, missing=1),
        "frames": ModalityCounts(computed=5, missing=1, failed=4),
        "motion": ModalityCounts(computed=4, missing=2, failed=4),
    }
    reasons = {one.file: one.reason for one in report.rejects}
    assert {one.kind for one in report.rejects} == {"clip"}
    assert "the file is empty" in reasons["empty.mp4"]
    assert "cannot decode 'renamed.mp4'" in reasons["renamed.mp4"]
    assert "must stay inside the media root" in reasons["../secret"]
    assert "there is no 'gone.mp4'" in reasons["gone.mp4"]
    assert report.rejects[0].raw == "item item6"
    assert report.notices == ("truncated or damaged clips, used as far as they decode: 1, such as 'half.avi'",)

    features = load_features(tmp_path, catalogue(paths, titles))
    assert list(features) == ["text", "frames", "motion"]
    assert features["frames"].present_V.tolist() == [True, True, True, False, True, True, False, False, False, False]
    assert features["motion"].present_V.tolist() == [True, True, True, False, False, True, False, False, False, False]
    assert features["text"].present_V.tolist() == [True] * 9 + [False]
    assert np.array_equal(features["frames"].vectors_VD[0], features["frames"].vectors_VD[2])
    assert not features["frames"].vectors_VD[6].any()
    assert 0 < features["frames"].quality_V[5] < 1
    assert features["motion"].vectors_VD.shape == (10, MotionEncoder().width)
    assert all(one.vectors_VD.dtype == np.float32 for one in features.values())


def test_a_second_run_computes_nothing_and_new_items_are_added(media, tmp_path):
    items = catalogue(["c0.mp4", "c1.avi"])
    run(items, media, tmp_path)
    encoder = MeanColour()
    again = run(items, media, tmp_path, frames=encoder)
    assert encoder.calls == 0
    assert again.counts == {name: ModalityCounts(cached=2) for name in ("text", "frames", "motion")}
    more = run(catalogue(["c0.mp4", "c1.avi", "c2.flv"]), media, tmp_path)
    assert more.counts["frames"] == ModalityCounts(computed=1, cached=2)


def test_rows_follow_item_numbers_and_not_the_order_of_the_frame(media, tmp_path):
    items = catalogue(["c0.mp4", "c1.avi", "c2.flv"])
    run(items.reverse(), media, tmp_path)
    forwards = load_features(tmp_path, items)
    backwards = load_features(tmp_path, items.reverse())
    for name in forwards:
        assert np.array_equal(forwards[name].vectors_VD, backwards[name].vectors_VD)
    assert np.abs(np.diff(forwards["frames"].vectors_VD, axis=0)).max(axis=1).min() > 0


def test_a_changed_file_gets_new_vectors_under_its_old_name(media, tmp_path):
    root = tmp_path / "media"
    root.mkdir()
    (root / "a.mp4").write_bytes((media / "c0.mp4").read_bytes())
    items = catalogue(["a.mp4"])
    run(items, root, tmp_path / "features")
    before = load_features(tmp_path / "features", items)["frames"].vectors_VD
    (root / "a.mp4").write_bytes((media / "c3.mkv").read_bytes())
    assert run(items, root, tmp_path / "features").counts["frames"].computed == 1
    assert np.abs(load_features(tmp_path / "features", items)["frames"].vectors_VD - before).max() > 0


def test_another_encoder_has_vectors_of_its_own_and_the_old_ones_stay(media, tmp_path):
    items = catalogue(["c0.mp4"])
    run(items, media, tmp_path)
    first = load_features(tmp_path, items)["frames"].encoder
    changed = run(items, media, tmp_path, frames=MeanColour("v2"))
    assert changed.counts["frames"].computed == 1
    assert changed.counts["motion"].cached == 1
    assert load_features(tmp_path, items)["frames"].encoder != first
    assert run(items, media, tmp_path).counts["frames"].cached == 1


def test_a_modality_that_is_switched_off_is_not_loaded(media, tmp_path):
    items = catalogue(["c0.mp4"])
    run(items, media, tmp_path)
    report = run(items, media, tmp_path, clips={})
    assert list(report.counts) == ["text"]
    assert list(load_features(tmp_path, items)) == ["text"]


def test_items_without_any_media_root_keep_their_text(tmp_path):
    report = run(catalogue(["c0.mp4", None]), None, tmp_path)
    assert report.counts["text"].computed == 2
    assert report.counts["frames"] == ModalityCounts(missing=2)
    assert report.rejects == ()


def test_an_empty_catalogue_is_no_error(tmp_path):
    items = catalogue([])
    assert run(items, None, tmp_path).counts["text"] == ModalityCounts()
    assert load_features(tmp_path, items)["text"].vectors_VD.shape[0] == 0


def test_results_do_not_depend_on_the_batch_or_the_processes(media, tmp_path):
    items = catalogue(["c0.mp4", "c1.avi", "c2.flv", "c3.mkv"])
    run(items, media, tmp_path / "one", batch_clips=1)
    seen = []
    run(
        items,
        media,
        tmp_path / "two",
        batch_clips=3,
        workers=2,
        progress=lambda done, total, note="": seen.append((done, total, note)),
    )
    one, two = (load_features(tmp_path / name, items) for name in ("one", "two"))
    for name in one:
        assert one[name].vectors_VD == pytest.approx(two[name].vectors_VD, abs=1e-5)
    assert seen[0] == (4, 4, "texts")
    assert seen[-1] == (4, 4, "clips")


def test_missing_and_damaged_features_say_what_to_run(media, tmp_path):
    items = catalogue(["c0.mp4"])
    with pytest.raises(NotBuiltError, match=r"no features artefact .* run: kinema extract"):
        load_features(tmp_path, items)
    run(items, media, tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(StaleArtifactError, match=r"cannot be read.*run: kinema extract"):
        load_features(tmp_path, items)


def test_a_damaged_shard_is_reported_and_made_again(media, tmp_path, capsys):
    items = catalogue(["c0.mp4", "c1.avi"])
    run(items, media, tmp_path)
    whole = load_features(tmp_path, items)["motion"].vectors_VD
    shard = next(tmp_path.glob("motion-*/vectors-plain/*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(StaleArtifactError, match=r"its checksum differs; it was set aside.*kinema extract"):
        load_features(tmp_path, items)
    assert run(items, media, tmp_path).counts["motion"].computed == 2
    assert list(tmp_path.glob("motion-*/tokens/*.safetensors"))
    assert np.array_equal(load_features(tmp_path, items)["motion"].vectors_VD, whole)


def test_settings_out_of_range_are_refused(tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"batch_clips and encode_threads >= 1, workers >= 0, .* > 0, got 0, 1, 0, 120\.0 and 2048",
    ):
        run(catalogue([]), None, tmp_path, batch_clips=0)
    for name in ("text", "my sound", "../x"):
        with pytest.raises(ConfigError, match=rf"an encoder and a name of letters, digits and _ .*, got '{name}'"):
            run(catalogue([]), None, tmp_path, clips={name: FrameTokens(MeanColour(), num_frames=1)})
    with pytest.raises(ConfigError, match=r"a modality of clips must have an encoder and a name .*, got 'sound'"):
        run(catalogue([]), None, tmp_path, poolings={"sound": SegmentPooling()})


def test_a_folder_of_an_older_format_is_refused_and_made_again(media, tmp_path):
    items = catalogue(["c0.mp4"])
    run(items, media, tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 2', '"format_version": 1'))
    for load in (load_features, load_tokens):
        with pytest.raises(
            StaleArtifactError, match="must be features version 2, is features version 1; run: kinema extract"
        ):
            load(tmp_path, items)
    run(items, media, tmp_path)
    assert load_features(tmp_path, items)["frames"].present_V.all()
