import polars as pl
import pytest

from kinema.sources.media_paths import MediaPaths, inside


@pytest.mark.parametrize("path", ["a.mp4", "a/b/c.mp4", "a/../b.mp4", "./a.mp4", "a..b.mp4", "ümlaut/影.mp4"])
def test_paths_inside_stay(path):
    assert inside(path) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../../etc/passwd", "leads out of the folder"),
        ("a/../../b.mp4", "leads out of the folder"),
        ("a\\..\\..\\b.mp4", "leads out of the folder"),
        ("/etc/passwd", "is absolute"),
        ("C:\\clips\\a.mp4", "is absolute"),
        ("C:a.mp4", "is absolute"),
        ("\\\\server\\share\\a.mp4", "is absolute"),
        ("a\0.mp4", "has a NUL character"),
    ],
)
def test_paths_that_lead_out_are_judged(path, reason):
    assert reason in inside(path)


def test_links_that_lead_out_are_found(tmp_path):
    root, outside = tmp_path / "media", tmp_path / "outside"
    (root / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(b"x")
    (root / "sub" / "fine.mp4").write_bytes(b"x")
    (root / "folder").symlink_to(outside)
    (root / "sub" / "link.mp4").symlink_to(outside / "secret.mp4")
    (root / "inner.mp4").symlink_to(root / "sub" / "fine.mp4")
    paths = ["sub/fine.mp4", "folder/secret.mp4", "sub/link.mp4", "inner.mp4", "missing.mp4", None, "../media/x.mp4"]
    found = dict(MediaPaths(root).judge(pl.Series(paths)))
    assert list(found) == [1, 2, 6]
    assert (
        found[1] == "media_path must stay inside the media folder, 'folder/secret.mp4' is a link that leads out of it"
    )


def test_without_a_root_only_the_text_is_judged():
    assert list(MediaPaths(None).judge(pl.Series(["a/b.mp4"]))) == []
