"""All real clips, and copies of some of them made here: exactly the true groups are found."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from kinema.encoders.content_keys import ContentKeys
from kinema.media_settings import LimitSettings
from kinema.progress import silent
from kinema.steps.duplicates import search
from kinema.steps.fingerprints import Fingerprints

SOURCES = ("real/carphone_pristine.mp4", "real/single_face.mp4", "real/park.mp4", "real/b.avi")


def even(picture):
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    return np.ascontiguousarray(picture[:height, :width])


def half(picture):
    return cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def crop(picture):
    rows, columns = (side // 20 for side in picture.shape[:2])
    return picture[rows:-rows, columns:-columns]


def one_sided_crop(picture):
    return picture[: -picture.shape[0] // 10, picture.shape[1] // 10 :]


def brighter(picture):
    return np.clip(picture * np.float32(1.2), 0, 255).astype(np.uint8)


def darker(picture):
    return (picture * np.float32(0.8)).astype(np.uint8)


def letterbox(picture):
    bar = picture.shape[0] // 6
    return np.pad(picture, ((bar, bar), (0, 0), (0, 0)))


def all_at_once(picture):
    return letterbox(brighter(half(crop(picture))))


def same(picture):
    return picture


COPIES = {
    "half": half,
    "crop": crop,
    "one_sided_crop": one_sided_crop,
    "brighter": brighter,
    "darker": darker,
    "letterbox": letterbox,
    "quarter_rate": same,
    "all_at_once": all_at_once,
    "trimmed": same,
}


def write_copies(source, folder):
    """Decode once and write every kind of copy: at most 480 pixels wide, a quarter of the bits for one, no first tenth for
    another."""
    made, files = {}, {}
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        seconds = float(container.duration) / av.time_base
        for number, frame in enumerate(container.decode(stream)):
            width = min(480, frame.width)
            full = frame.to_ndarray(
                format="rgb24", width=width, height=round(frame.height * width / frame.width / 2) * 2
            )
            for name, change in COPIES.items():
                if name == "trimmed" and number < 0.1 * seconds * float(stream.average_rate):
                    continue
                picture = even(change(full))
                if name not in made:
                    files[name] = folder / f"{source.stem}.{name}.mp4"
                    made[name] = av.open(str(files[name]), "w")
                    quarter = round(source.stat().st_size * 8 / seconds / 4)
                    rate = Fraction(stream.average_rate).limit_denominator(1000)
                    if name == "quarter_rate":  # mpeg4 cannot go so low with short clips
                        tight = {"preset": "veryfast", "maxrate": str(quarter), "bufsize": str(quarter // 4)}
                        out = made[name].add_stream("libx264", rate=rate, options=tight)
                    else:
                        out = made[name].add_stream("mpeg4", rate=rate)
                    out.height, out.width, out.pix_fmt = *picture.shape[:2], "yuv420p"
                    out.bit_rate = round(0.8 * quarter) if name == "quarter_rate" else 1_500_000
                made[name].mux(made[name].streams.video[0].encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    for container in made.values():
        container.mux(container.streams.video[0].encode(None))
        container.close()
    return files


@pytest.fixture(scope="module")
def copies(data_dir, tmp_path_factory):
    """Source -> kind -> file."""
    made = tmp_path_factory.mktemp("copies")
    return {source: write_copies(data_dir / "clips" / source, made) for source in SOURCES}


@pytest.fixture(scope="module")
def found(data_dir, copies, tmp_path_factory):
    """Groups of names, each sorted, of all real clips and the copies."""
    root = data_dir / "clips"
    files = {str(path.relative_to(root)): path for path in sorted(root.glob("*/*")) if path.suffix != ".csv"}
    files |= {f"{source} {name}": path for source, kinds in copies.items() for name, path in kinds.items()}
    keys = ContentKeys(tmp_path_factory.mktemp("keys")).update(files, num_threads=1)
    assert len(set(keys.values())) == len(files)
    prints = Fingerprints.open(tmp_path_factory.mktemp("prints"), LimitSettings())
    names = {key: name for name, key in keys.items()}
    failed = prints.make({keys[name]: (name, path) for name, path in files.items()}, workers=1, progress=silent)
    assert failed == {}
    groups = search(prints, list(names), progress=silent).groups
    return [sorted(names[key] for key in group) for group in groups]


@pytest.mark.parametrize("source", SOURCES)
def test_the_copies_are_what_they_are_called(data_dir, copies, source):
    of_source = copies[source]
    assert of_source["quarter_rate"].stat().st_size < 0.27 * (data_dir / "clips" / source).stat().st_size
    seen = {}
    for kind in ("quarter_rate", "half", "crop", "brighter", "darker"):
        with av.open(str(of_source[kind])) as container:
            seen[kind] = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float)
    height, width = seen["quarter_rate"].shape[:2]
    assert seen["half"].shape[:2] == pytest.approx((height / 2, width / 2), abs=2)
    assert seen["crop"].shape[:2] == pytest.approx((height * 0.9, width * 0.9), abs=3)
    assert seen["darker"].mean() == pytest.approx(0.8 * seen["quarter_rate"].mean(), rel=0.05)
    assert seen["brighter"].mean() > 1.1 * seen["quarter_rate"].mean()


def test_the_eight_containers_are_one_group(found):
    (group,) = [group for group in found if any(name.startswith("containers/") for name in group)]
    assert len(group) == 8
    assert all(name.startswith("containers/demo.") for name in group)


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("source", SOURCES)
def test_a_copy_is_found_as_one_of_its_source(found, source, kind):
    (group,) = [group for group in found if f"{source} {kind}" in group]
    assert source in group


def test_nothing_else_is_grouped(found):
    assert len(found) == 1 + len(SOURCES)
    for group in found:
        assert len({name.split()[0] for name in group}) == (8 if group[0].startswith("containers/") else 1)
