"""Transcripts of a catalogue: where they are found, what cannot be read, what is not read twice. Encoders are tiny."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

from kinema.encoders import text_tracks
from kinema.encoders.text_transcripts import FILE_NAME, read_table
from kinema.errors import MissingExtraError
from kinema.media.subtitles import MAX_SUBTITLE_BYTES
from kinema.media_settings import LimitSettings
from kinema.project import Project
from kinema.steps import transcribing
from kinema.steps.extracting import extract_project
from kinema.steps.transcribing import find_transcripts
from kinema.testing.clips import render_clip
from subtitled import embed_mov_text, srt, with_track
from tiny_encoders import save_bert

BROKEN = {
    "russian": srt("Привет всем, кто нас смотрит").encode("cp1251"),
    "empty": b" \n",
    "music": srt("♪ ♪", "[Music]").encode(),
    "huge": b"x" * (MAX_SUBTITLE_BYTES + 1),
    "binary": bytes(range(256)) * 40,
    "words": b"no times at all\n" * 20,
    "folder": None,
}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture
def shop(tmp_path, bert):
    """A project with a tiny text encoder and nothing else; ingest what is in `clips`."""
    (tmp_path / "clips").mkdir()
    Project.init(tmp_path / "shop").close()
    (tmp_path / "shop" / "kinema.toml").write_text(
        f'[encoders]\ntext = "{bert}"\nframes = ""\nmotion = ""\nsound = ""\n[runtime]\nworkers = 1\n'
    )
    with Project.open(tmp_path / "shop") as project:
        yield project


def add_clips(folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(exist_ok=True)
        render_clip(folder / name, seed=number, seconds=0.2, width=64, height=48)


def rejected(project):
    return {one.file: one.reason for one in project.store.rejects() if one.kind == "transcript"}


def find(items, root, folder):
    frame = {"num": range(len(items)), "language": "", "media_path": None, "attributes": "{}"}
    rows = [{**frame, "num": number, **one} for number, one in enumerate(items)]
    settings = {"languages": ("en",), "limits": LimitSettings()}
    return find_transcripts(
        pl.DataFrame(rows, schema_overrides={"media_path": pl.String}), media_root=root, folder=folder, **settings
    )


def test_a_catalogue_without_transcripts_is_as_if_there_were_none(shop, tmp_path):
    add_clips(tmp_path / "clips", "a.avi", "b.avi")
    shop.ingest(videos=tmp_path / "clips")
    report = shop.extract()
    assert list(report.counts) == ["text"]
    assert not any("transcript" in one for one in report.notices)
    features = shop.artifacts / "features"
    assert not [path.name for path in features.iterdir() if "transcript" in path.name]
    assert json.loads((features / "manifest.json").read_text())["config"]["modalities"].keys() == {"text"}


def test_files_fields_and_words_become_vectors_once(shop, tmp_path):
    clips = tmp_path / "clips"
    add_clips(clips, "a.avi", "b.avi", "c.avi", "sub/d.avi", "e.avi")
    (clips / "a.srt").write_text(srt("ak al", "am an"))
    (clips / "a.en.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nbk bl\n")
    (clips / "sub" / "said.de.srt").write_text(srt("ck cl"))
    rows = {
        "id": ["a", "b", "c", "d", "e", "bare"],
        "title": ["dk", "dl", "dm", "dn", "do", "dp"],
        "media_path": ["a.avi", "b.avi", "c.avi", "sub/d.avi", "e.avi", None],
        "Transcript": [None, None, "ek el. em en! ♪", "sub/said.de.srt", None, srt("fk fl")],
        "language": ["", "", "fr", "", "", ""],
    }
    pl.DataFrame(rows).write_csv(tmp_path / "items.csv")
    shop.ingest(videos=clips, items=tmp_path / "items.csv")
    report = shop.extract()
    assert vars(report.counts["transcript"]) == {"computed": 4, "cached": 0, "missing": 2, "failed": 0}
    assert report.rejects == ()
    assert "4 of 6 items have a transcript (de 1, en 1, fr 1, language unknown 1)" in report.notices
    features = shop.artifacts / "features"
    table = read_table(features)
    assert dict(table.select("id", "text").iter_rows()) == {
        "a": "bk bl",
        "c": "ek el. em en!",
        "d": "ck cl",
        "bare": "fk fl",
    }
    assert table["source"].to_list() == ["a.en.vtt", "given", "said.de.srt", "given"]
    dataset = shop.dataset()
    said, text = dataset.features["transcript"], dataset.features["text"]
    assert said.present_V.tolist() == [True, False, True, True, False, True]
    assert said.encoder == text.encoder
    assert said.quality_V[[0, 2]].tolist() == [1.0, 1.0]
    assert np.allclose(np.linalg.norm(said.vectors_VD[said.present_V], axis=1), 1, atol=1e-5)
    stamp = (features / FILE_NAME).read_bytes()
    assert vars(shop.extract().counts["transcript"]) == {"computed": 0, "cached": 4, "missing": 2, "failed": 0}
    assert (features / FILE_NAME).read_bytes() == stamp


def test_a_look_at_one_clip_keeps_what_is_said_in_the_others(shop, tmp_path):
    clips = tmp_path / "clips"
    add_clips(clips, "a.avi", "b.avi")
    (clips / "a.srt").write_text(srt("ak al"))
    (clips / "b.srt").write_text("\n")
    shop.ingest(videos=clips)
    shop.extract()
    add_clips(clips, "c.avi", "d.avi")
    (clips / "c.srt").write_text(srt("ck cl"))
    shop.ingest(videos=clips)
    of_one = {"folder": shop.folder, "settings": shop.settings, "store": shop.store, "media_root": clips, "workers": 1}
    report = extract_project(**of_one, only={"c.avi"})
    assert vars(report.counts["transcript"]) == {"computed": 1, "cached": 0, "missing": 0, "failed": 0}
    extract_project(**of_one, only={"d.avi"})
    assert shop.dataset().features["transcript"].present_V.tolist() == [True, False, True, False]
    assert list(rejected(shop)) == ["b.srt"]


def test_a_changed_file_is_read_again_and_one_that_is_gone_is_gone(shop, tmp_path, monkeypatch):
    clips = tmp_path / "clips"
    add_clips(clips, "a.avi", "b.avi")
    (clips / "a.srt").write_text(srt("ak al"))
    (clips / "b.srt").write_text(srt("bk bl"))
    shop.ingest(videos=clips)
    shop.extract()
    read = []
    plain = transcribing.read_side_file
    monkeypatch.setattr(
        transcribing, "read_side_file", lambda path, **how: (read.append(path.name), plain(path, **how))[1]
    )
    (clips / "a.srt").write_text(srt("ck cl cm"))
    assert shop.extract().counts["transcript"].computed == 1
    assert read == ["a.srt"]
    (clips / "b.srt").unlink()
    assert vars(shop.extract().counts["transcript"]) == {"computed": 0, "cached": 1, "missing": 1, "failed": 0}
    (clips / "a.srt").unlink()
    assert "transcript" not in shop.extract().counts
    assert "transcript" not in shop.dataset().features


def test_files_that_cannot_be_read_cost_nothing_but_a_reject(shop, tmp_path):
    clips = tmp_path / "clips"
    add_clips(clips, "good.avi", *(f"{name}.avi" for name in BROKEN))
    (clips / "good.srt").write_text(srt("ak al"))
    (clips / "good.de.srt").write_bytes(BROKEN["words"])
    for name, content in BROKEN.items():
        if content is None:
            (clips / f"{name}.srt").mkdir()
        else:
            (clips / f"{name}.srt").write_bytes(content)
    shop.ingest(videos=clips)
    report = shop.extract()
    assert vars(report.counts["transcript"]) == {"computed": 1, "cached": 0, "missing": 1, "failed": 6}
    reasons = rejected(shop)
    for file, reason in {
        "russian.srt": "must be UTF-8, UTF-16 or Western European, have letters of another encoding",
        "empty.srt": "must have cues, are empty",
        "music.srt": "must say something, name music or noises only",
        "huge.srt": "must be at most 4 MB, are larger",
        "binary.srt": "must be srt or vtt, have no cue that can be read",
        "words.srt": "must be srt or vtt, have no cue that can be read",
        "good.de.srt": "must be srt or vtt, have no cue that can be read",
    }.items():
        assert reason in reasons.pop(file)
    assert reasons == {}
    assert "7 transcripts cannot be read and were set aside, such as 'binary.srt'" in report.notices[-1]
    assert (shop.folder / "rejects" / "music.srt.jsonl").is_file()
    assert shop.extract().counts["transcript"].failed == 6
    for name in BROKEN:
        shutil.rmtree(clips / f"{name}.srt", ignore_errors=True)
        (clips / f"{name}.srt").unlink(missing_ok=True)
    (clips / "good.de.srt").unlink()
    shop.extract()
    assert rejected(shop) == {}


def test_fields_that_name_no_transcript_are_rejects(tmp_path):
    (tmp_path / "media").mkdir()
    (tmp_path / "secret.srt").write_text(srt("secret words"))
    fields = ["../secret.srt", "none.srt", "clips/a.str", "[Music] (applause)", 7, None, "x" * (MAX_SUBTITLE_BYTES + 1)]
    items = [{"id": f"v{place}", "attributes": json.dumps({"transcript": one})} for place, one in enumerate(fields)]
    found = find(items, tmp_path / "media", tmp_path / "features")
    assert [(one.raw, one.reason.partition(";")[0]) for one in found.rejects] == [
        ("item v0", "transcript must stay inside the media root, '../secret.srt' leads outside"),
        ("item v1", "transcript must name a file in the media root, there is no 'none.srt'"),
        (
            "item v2",
            "transcript must be what is said, or the path of an srt or vtt file in the media folder, is 'clips/a.str'",
        ),
        ("item v3", "transcript of item 'v3' must say something, does not"),
        ("item v6", "transcript must be at most 4,194,304 characters, has 4,194,305"),
    ]
    assert set(found.table["key"]) == {""}
    (none,) = find([{"id": "v", "attributes": '{"transcript": "a.srt"}'}], None, tmp_path).rejects
    assert "transcript 'a.srt' must lie in the media folder, there is none yet" in none.reason
    odd = find([{"id": "v", "attributes": '{"transcript": "half \\ud800 a pair"}'}], None, tmp_path)
    assert odd.table["text"].to_list() == ["half ? a pair"]


def test_tracks_inside_clips_are_read_in_a_process_of_their_own(tmp_path):
    media = tmp_path / "media"
    add_clips(media, "plain.avi", "a.mkv", "b.mkv")
    with_track(media / "a.mkv", srt("ak al", "am"))
    with_track(media / "b.mkv", srt("bk bl"))
    (media / "b.en.srt").write_text(srt("ck cl"))
    embed_mov_text(media / "c.mp4", ["dk dl", "dm"])
    (media / "cut.mkv").write_bytes((media / "a.mkv").read_bytes()[:600])
    names = ["plain.avi", "a.mkv", "b.mkv", "c.mp4", "cut.mkv", "none.mp4"]
    items = [{"id": name, "media_path": name} for name in [*names, "../a.mkv"]]
    found = find([*items, {"id": "again", "media_path": "a.mkv"}], media, tmp_path / "features")
    assert {row["id"]: (row["text"], row["source"]) for row in found.table.to_dicts() if row["key"]} == {
        "a.mkv": ("ak al am", "track 1"),
        "again": ("ak al am", "track 1"),
        "b.mkv": ("ck cl", "b.en.srt"),
        "c.mp4": ("dk dl dm", "track 0"),
    }
    assert {one.file for one in found.rejects} <= {"cut.mkv"}


def test_a_clip_that_kills_its_process_costs_its_transcript(tmp_path, monkeypatch):
    media = tmp_path / "media"
    add_clips(media, "a.mkv")
    with_track(media / "a.mkv", srt("ak al"))
    monkeypatch.setattr(text_tracks, "_COMMAND", ("/bin/false",))
    found = find([{"id": "a", "media_path": "a.mkv"}], media, tmp_path / "features")
    (reject,) = found.rejects
    assert reject.reason == (
        "cannot decode 'a.mkv': the decoder crashed on it twice; the item goes without a transcript"
    )


def test_without_a_decoder_the_files_beside_the_clips_are_read_all_the_same(tmp_path, monkeypatch):
    media = tmp_path / "media"
    add_clips(media, "a.mkv", "b.mkv")
    with_track(media / "a.mkv", srt("ak al"))
    (media / "b.srt").write_text(srt("bk bl"))

    def missing(name):
        raise MissingExtraError(f"{name} is missing")

    monkeypatch.setattr(text_tracks, "require", missing)
    items = [{"id": name, "media_path": f"{name}.mkv"} for name in "ab"]
    found = find(items, media, tmp_path / "features")
    assert found.notices == ("subtitles inside 1 clips were not read: av is missing",)
    assert dict(found.table.select("id", "text").iter_rows()) == {"a": "", "b": "bk bl"}
    assert dict(found.table.select("id", "state").iter_rows())["a"] == ""


def test_switched_off_nothing_is_looked_for(shop, tmp_path, bert, monkeypatch):
    add_clips(tmp_path / "clips", "a.avi")
    (tmp_path / "clips" / "a.srt").write_text(srt("ak al"))
    shop.ingest(videos=tmp_path / "clips")
    monkeypatch.setenv("KINEMA_ENCODERS__TRANSCRIPTS", "off")
    monkeypatch.setattr("kinema.steps.extracting.find_transcripts", None)
    with Project.open(shop.folder) as project:
        assert "transcript" not in project.extract().counts


def test_texts_the_encoder_does_not_read_count_for_less_and_are_named(shop, tmp_path):
    add_clips(tmp_path / "clips", "a.avi", "b.avi")
    (tmp_path / "clips" / "a.srt").write_text(srt("ak al am an"))
    (tmp_path / "clips" / "b.ru.srt").write_text(srt("Привет всем, кто нас смотрит"))
    shop.ingest(videos=tmp_path / "clips")
    report = shop.extract()
    assert any("hardly reads 1 of them (ru 1)" in one for one in report.notices)
    said = shop.dataset().features["transcript"]
    assert (said.quality_V.tolist(), said.present_V.tolist()) == ([1.0, 0.0], [True, False])
