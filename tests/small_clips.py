"""A project of four short clips, each of one colour, extracted with an encoder of a few thousand parameters."""

import numpy as np

from kinema.project import Project
from kinema.testing.clips import write_clip
from tiny_encoders import save_vit

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (20, 40, 220), "grey": (128, 128, 128)}
SETTINGS = """
[encoders]
text = ""
frames = "vit"
motion = ""
sound = ""
[media]
num_frames = 2
[limits]
max_clip_pixels = 400000
decode_seconds = 10
clip_memory_mb = 1024
[runtime]
workers = 1
threads = 1
[serving]
max_image_mb = 1
max_upload_mb = 2
"""


def picture(name, *, side=64, seed=0):
    """uint8 [side, side, 3]: noise of a colour."""
    random = np.random.default_rng(seed)
    return np.clip(np.array(COLOURS[name]) + random.integers(-30, 30, (side, side, 3)), 0, 255).astype(np.uint8)


def write(path, name, *, side=64, seed=0):
    """A clip of a colour; the container is by the suffix."""
    write_clip(path, [picture(name, side=side, seed=seed + number) for number in range(6)])
    return path


def clips_project(folder):
    """The project, open; its media folder is ``videos`` beside it."""
    videos = folder / "videos"
    videos.mkdir(parents=True)
    for name in COLOURS:
        write(videos / f"{name}.avi", name)
    Project.init(folder / "shop").close()
    save_vit(folder / "shop" / "vit")
    (folder / "shop" / "kinema.toml").write_text(SETTINGS)
    project = Project.open(folder / "shop")
    project.ingest(videos=videos)
    project.extract()
    return project
