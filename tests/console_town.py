"""A small town with two versions of a model, for tests that look at the console in a browser: half a minute to make."""

from pathlib import Path

from kinema.project import Project
from kinema.sources.town.write import generate

NUM_CLIPS, NUM_USERS, NUM_EVENTS = 72, 240, 9000
SETTINGS = """
[media]
num_frames = 4
[runtime]
workers = 2
threads = 1
[flm]
max_epochs = 4
[evaluation]
bootstrap_samples = 50
"""


def make_town(folder: Path) -> Path:
    """Generate it, take it in, train it twice and evaluate it; the project's folder."""
    town, shop = folder / "town", folder / "shop"
    generate(town, seed=7, num_clips=NUM_CLIPS, num_users=NUM_USERS, num_events=NUM_EVENTS, workers=2)
    Project.init(shop).close()
    (shop / "kinema.toml").write_text(SETTINGS)
    with Project.open(shop) as project:
        project.ingest(
            videos=town / "videos",
            items=town / "items.csv",
            users=town / "users.csv",
            events=town / "events.parquet",
        )
        project.extract()
        for seed in (1, 2):
            project.pretrain(seed=seed)
        project.evaluate("temporal", quick=True, seed=2)
    return shop
