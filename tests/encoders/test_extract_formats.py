"""Odd clips through ingest and extraction as a user runs them: containers, codecs, sizes, rates, turned, silent, heard only."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image
from small_catalogue import MeanColour

from kinema.encoders.extract import load_features
from kinema.encoders.frames import FrameTokens
from kinema.project import Project
from kinema.testing.clips import CODECS, render_clip, write_clip

SETTINGS = '[encoders]\ntext = ""\nframes = ""\n[runtime]\nworkers = 1\n'
CODEC_CLIPS = {
    "h264.mp4": ("libx264", {}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=none"}),
    "av1.mp4": ("libsvtav1", {"preset": "13"}),
    "vp9.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "h263.3gp": ("h263", {}),
    "mjpeg.avi": ("mjpeg", {}),
    "prores.mov": ("prores", {}),
    "h264.ts": ("libx264", {}),
    "mpeg2.mpg": ("mpeg2video", {}),
    "wmv1.wmv": ("wmv1", {}),
    "lossless.mkv": ("ffv1", {}),
}
PIXELS = {"mjpeg": "yuvj420p", "prores": "yuv422p10le"}


def pictures(count=8, width=176, height=144):
    """A bright square that wanders over a grey ground."""
    frames = np.full((count, height, width, 3), 90, dtype=np.uint8)
    for number in range(count):
        left = number * (width // 2) // count
        frames[number, height // 4 : height // 2, left : left + width // 4] = 230
    return list(frames)


def encode(path, frames, *, codec, times_ms=None, turned=0, sound=None):
    """A clip with what `kinema.testing.clips` does not write: odd sizes, times, a turn, sound."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=12)
        stream.codec_context.thread_count = 1
        stream.width, stream.height, stream.pix_fmt = width, height, PIXELS.get(codec, "yuv420p")
        if times_ms:
            stream.codec_context.time_base = Fraction(1, 1000)
        if turned:
            stream.set_display_rotation(turned)
        heard = container.add_stream(sound, rate=16_000, layout="mono") if sound else None
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times_ms:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if heard is not None:
            mux_tone(container, heard)


def mux_tone(container, stream):
    samples = np.sin(np.arange(16_000) / 5).astype(np.float32)[None]
    frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
    frame.sample_rate = 16_000
    size = stream.codec_context.frame_size or 1024
    resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=16_000, frame_size=size)
    for one in (*resampler.resample(frame), *resampler.resample(None)):
        container.mux(stream.encode(one))
    container.mux(stream.encode(None))


def only_sound(path):
    with av.open(str(path), "w") as container:
        mux_tone(container, container.add_stream("aac", rate=16_000, layout="mono"))


def coded(path, codec, options):
    if codec in {"mjpeg", "prores"}:
        encode(path, pictures(), codec=codec)
    else:
        write_clip(path, pictures(), codec=codec, options=options)


def make_clips(folder):
    """All of them, and those whose encoder this FFmpeg does not have."""
    missing = {}
    for suffix in CODECS:
        render_clip(folder / f"container{suffix}", seconds=0.7, width=96, height=64)
    for name, (codec, options) in CODEC_CLIPS.items():
        try:
            av.codec.Codec(codec, "w")
        except av.codec.codec.UnknownCodecError as error:
            missing[name] = str(error)
        else:
            coded(folder / name, codec, options)
    encode(folder / "odd.mkv", pictures(6, 33, 17), codec="mpeg4")
    encode(folder / "narrow.avi", pictures(6, 16, 320), codec="mpeg4")
    encode(folder / "slides.mkv", pictures(5, 96, 64), codec="mpeg4", times_ms=[0, 40, 500, 540, 2000])
    encode(folder / "phone.mp4", pictures(6, 96, 64), codec="mpeg4", turned=90)
    encode(folder / "heard.mp4", pictures(12, 96, 64), codec="mpeg4", sound="aac")
    encode(folder / "single.mp4", pictures(1, 96, 64), codec="mpeg4")
    encode(folder / "tiny.avi", pictures(4, 2, 2), codec="ffv1")
    only_sound(folder / "song.mp4")
    return missing


def make_stills(folder):
    """Still images and an animation; a table names them, since pictures beside clips are no items."""
    folder.mkdir()
    image = Image.fromarray(pictures(1, 64, 48)[0])
    names = ["still.png", "still.jpg", "still.webp", "still.gif", "moving.gif"]
    for name in names[:4]:
        image.save(folder / name)
    others = [Image.fromarray(one) for one in pictures(4, 64, 48)]
    image.save(folder / names[4], save_all=True, append_images=others, duration=100)
    lines = [json.dumps({"item": name, "title": name, "media_path": f"stills/{name}"}) for name in names]
    (folder.parent / "stills.jsonl").write_text("\n".join(lines))
    return names


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Media path -> modalities with a vector, the report, encoders that are missing, and quality by media path."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "media").mkdir()
    missing = make_clips(folder / "media")
    make_stills(folder / "media" / "stills")
    (folder / "kinema.toml").write_text(SETTINGS)
    with Project.open(folder) as project:
        project.ingest(videos=folder / "media")
        project.ingest(items=folder / "media" / "stills.jsonl")
        report = project.extract(extra={"look": FrameTokens(MeanColour(), num_frames=4)})
        items = project.store.items().sort("num")
    features = load_features(folder / "artifacts" / "features", items)
    paths = items["media_path"].to_list()
    there = {path: {name for name, one in features.items() if one.present_V[row]} for row, path in enumerate(paths)}
    quality = {path: min(float(features[one].quality_V[row]) for one in there[path]) for row, path in enumerate(paths)}
    return there, report, missing, quality


def test_every_odd_clip_has_vectors_and_none_is_rejected(shop):
    there, report, _, quality = shop
    assert report.rejects == ()
    assert all(there.values())
    assert {path: value for path, value in quality.items() if value < 1} == {}


@pytest.mark.parametrize("name", [f"container{suffix}" for suffix in CODECS] + sorted(CODEC_CLIPS))
def test_containers_and_codecs_are_seen_and_move(shop, name):
    there, _, missing, _ = shop
    if name in missing:
        pytest.skip(f"this FFmpeg cannot write it: {missing[name]}")
    assert there[name] == {"look", "motion"}


@pytest.mark.parametrize("name", ["odd.mkv", "narrow.avi", "slides.mkv", "phone.mp4", "stills/moving.gif"])
def test_sizes_rates_turns_and_animations_are_seen_and_move(shop, name):
    assert shop[0][name] == {"look", "motion"}


@pytest.mark.parametrize("name", ["single.mp4", *(f"stills/still.{kind}" for kind in ("png", "jpg", "webp", "gif"))])
def test_a_single_picture_is_seen_and_does_not_move(shop, name):
    assert shop[0][name] == {"look"}


def test_sound_is_heard_with_and_without_pictures(shop):
    assert shop[0]["heard.mp4"] == {"look", "motion", "sound"}
    assert shop[0]["song.mp4"] == {"sound"}
