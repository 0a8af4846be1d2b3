"""Subtitle files beside clips and tracks inside them."""

import struct
from fractions import Fraction

import av
import pytest

from kinema.errors import DataError
from kinema.media.subtitles import MAX_SUBTITLE_BYTES
from kinema.media.transcripts import SideFiles, Transcript, read_side_file, read_tracks, read_transcript

SRT = "1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i> you\n\n2\n00:00:03,000 --> 00:00:04,000\nand you\n"
ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Default,Arial,20\n\n"
    "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    "Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\an8}Hello, you\\Nthere\n"
)


def embed(path, text, *, suffix, language="eng"):
    """A file whose only track is the subtitles."""
    source = path.with_name(f"source.{suffix}")
    source.write_text(text)
    with av.open(str(source)) as given, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(given.streams[0])
        stream.metadata["language"] = language
        for packet in given.demux(given.streams[0]):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    source.unlink()
    return path


def embed_mov_text(path, payloads):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mov_text")
        stream.codec_context.subtitle_header = ASS.partition("Dialogue")[0].encode()
        stream.time_base = Fraction(1, 1000)
        stream.metadata["language"] = "deu"
        for place, payload in enumerate(payloads):
            packet = av.Packet(payload)
            packet.pts = packet.dts = 1000 * place
            packet.duration, packet.time_base, packet.stream = 1000, Fraction(1, 1000), stream
            container.mux(packet)
    return path


def touch(folder, *names):
    for name in names:
        (folder / name).write_text(SRT)


def test_files_beside_a_clip_are_found_by_name(tmp_path):
    touch(tmp_path, "clip.mp4", "clip.srt", "clip.en.vtt", "clip.pt-BR.forced.srt", "clip.MP4.SRT", "clip.mp4.srt")
    touch(tmp_path, "clip.two.mp4", "clip.two.srt", "clip.final cut.srt", "clips.srt", "clip.eng.hi.srt", ".clip.srt")
    side_files = SideFiles()
    found = [(path.name, language, forced) for path, language, forced in side_files.find(tmp_path / "clip.mp4")]
    assert found == [
        ("clip.mp4.srt", "", False),
        ("clip.srt", "", False),
        ("clip.en.vtt", "en", False),
        ("clip.eng.hi.srt", "en", False),
        ("clip.pt-BR.forced.srt", "pt-BR", True),
    ]
    assert [path.name for path, _, _ in side_files.find(tmp_path / "clip.two.mp4")] == ["clip.two.srt"]
    assert side_files.find(tmp_path / "no" / "clip.mp4") == []


def test_links_that_lead_out_are_not_followed(tmp_path):
    inside = tmp_path / "media"
    inside.mkdir()
    touch(tmp_path, "secret.srt")
    touch(inside, "clip.mp4")
    (inside / "clip.srt").symlink_to(tmp_path / "secret.srt")
    assert SideFiles(root=inside).find(inside / "clip.mp4") == []
    assert len(SideFiles().find(inside / "clip.mp4")) == 1


def test_tracks_of_matroska_are_read(tmp_path):
    vtt = "WEBVTT\n\n00:01.000 --> 00:02.500\n<v Bob>Hello you\n"
    for suffix, text, expected in (
        ("srt", SRT, ["Hello you", "and you"]),
        ("vtt", vtt, ["Hello you"]),
        ("ass", ASS, ["Hello, you\nthere"]),
    ):
        (track,) = read_tracks(embed(tmp_path / f"{suffix}.mkv", text, suffix=suffix))
        assert [cue.text for cue in track.cues] == expected
        assert (track.cues[0].start_ms, track.cues[0].end_ms) == (1000, 2500)
        assert (track.language, track.source, track.num_bad) == ("en", "track 0", 0)


def test_tracks_of_mp4_are_read(tmp_path):
    texts = [text.encode() for text in ("Hallo", "", "Grüße & Küsse")]
    payloads = [struct.pack(">H", len(text)) + text for text in texts]
    (track,) = read_tracks(embed_mov_text(tmp_path / "a.mp4", [*payloads, struct.pack(">H", 99) + b"cut off"]))
    assert [cue.text for cue in track.cues] == ["Hallo", "Grüße & Küsse"]
    assert track.language == "de"
    assert track.num_bad == 1


def test_limits_and_clips_without_text_tracks(tmp_path, data_dir):
    path = embed(tmp_path / "a.mkv", SRT, suffix="srt")
    assert [cue.text for cue in read_tracks(path, max_seconds=2)[0].cues] == ["Hello you"]
    assert read_tracks(path, max_bytes=1) == read_tracks(path, deadline_s=-1) == []
    assert read_tracks(data_dir / "clips" / "real" / "small.mp4") == []


def test_the_best_subtitles_are_chosen(tmp_path):
    clip = embed(tmp_path / "clip.mkv", SRT.replace("Hello", "Track"), suffix="srt", language="fre")
    bare = SideFiles(root=tmp_path)
    assert read_transcript(clip, side_files=bare) == Transcript("Track you and you", "fr", "track 0")
    (tmp_path / "clip.en.srt").write_text(SRT)
    (tmp_path / "clip.de.forced.srt").write_text(SRT.replace("Hello", "Hallo"))
    side_files = SideFiles(root=tmp_path)
    assert read_transcript(clip, side_files=side_files).source == "clip.en.srt"
    assert read_transcript(clip, side_files=side_files, languages=("fr", "en")).source == "track 0"
    assert read_transcript(clip, side_files=side_files, languages=("de",)).source == "clip.en.srt"
    (tmp_path / "clip.srt").write_text("2\n00:00:01,000 --> 00:00:00,500\nbad\n" + SRT)
    found = read_transcript(clip, side_files=SideFiles())
    assert (found.text, found.source) == ("Hello you and you", "clip.srt")
    assert found.problems == ("1 cues of 'clip.srt' cannot be read and were left out",)


def test_bad_subtitles_do_not_cost_the_clip(tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_text("no video")
    (tmp_path / "clip.srt").write_text("no subtitles")
    with pytest.raises(
        DataError, match=r"subtitles 'clip.srt' must be srt or vtt, have no cue that can be read \(0 bad\)"
    ):
        read_side_file(tmp_path / "clip.srt")
    with pytest.raises(
        DataError, match=r"cannot read subtitles 'no.srt': No such file or directory; check its permissions"
    ):
        read_side_file(tmp_path / "no.srt")
    found = read_transcript(clip, side_files=SideFiles(), name="clip.mp4")
    assert found.text == ""
    assert len(found.problems) == 2
    assert "must be srt or vtt" in found.problems[0]
    assert "cannot decode 'clip.mp4'" in found.problems[1]


def test_subtitles_that_are_no_use_say_why(tmp_path):
    cue = "1\n00:00:01,000 --> 00:00:02,000\n{}\n"
    for name, content, reason in (
        ("empty", b" \n", r"subtitles 'empty.srt' must have cues, are empty; repair or remove the file"),
        ("large", b"x" * (MAX_SUBTITLE_BYTES + 1), r"subtitles 'large.srt' must be at most 4 MB, are larger"),
        ("music", cue.format("[Music] ♪").encode(), r"must say something, name music or noises only"),
        ("greek", cue.format("Καλημέρα").encode("cp1253"), r"must be UTF-8, UTF-16 or Western European"),
    ):
        (tmp_path / f"{name}.srt").write_bytes(content)
        with pytest.raises(DataError, match=reason):
            read_side_file(tmp_path / f"{name}.srt")


def test_a_track_of_music_is_no_track(tmp_path):
    music = SRT.replace("<i>Hello</i> you", "[Music]").replace("and you", "♪♪")
    assert read_tracks(embed(tmp_path / "a.mkv", music, suffix="srt")) == []
