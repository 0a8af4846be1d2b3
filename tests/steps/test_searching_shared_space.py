"""Words find clips through the space that CLIP and SigLIP share with them: tiny checkpoints that were taught two colours."""

import json

import numpy as np
import polars as pl
import pytest
import torch
import transformers
from click.testing import CliRunner
from PIL import Image

from kinema.cli.main import main
from kinema.encoders.shared_space import load_shared_space
from kinema.errors import ConfigError
from kinema.media.sampling import sample_frames
from kinema.project import Project
from kinema.steps import bridges
from kinema.testing.clips import write_clip
from tiny_encoders import save_clip, save_siglip, save_vit

SAVE = {"clip": save_clip, "siglip": save_siglip}
COLOURS = {"ak": (220, 30, 30), "bk": (30, 200, 40)}
CLIPS = {"ember": "ak", "meadow": "bk", "brick": "ak", "lawn": "bk"}
WAY = "in a space that pictures and words share"
PLAIN = '[media]\nnum_frames = 2\npictures = false\n[runtime]\nworkers = 1\n[encoders]\ntext = ""\nmotion = ""\nsound = ""\n'


def picture(colour, seed):
    noise = np.random.default_rng(seed).integers(-20, 20, (32, 32, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def teach(folder):
    """Change the last layer of the text half so that a word lies exactly where a picture of its colour does."""
    space = load_shared_space(folder)
    model = space._model
    seen = space.encode_pictures(np.stack([np.full((32, 32, 3), colour, np.uint8) for colour in COLOURS.values()]))
    last = model.text_projection if hasattr(model, "text_projection") else model.text_model.head
    pooled = []
    watch = last.register_forward_pre_hook(lambda _, given: pooled.append(given[0].detach().double().numpy()))
    for word in COLOURS:
        space.encode_texts([word])
    watch.remove()
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(seen.T.astype(np.float64) @ np.linalg.pinv(np.concatenate(pooled).T)))
        if last.bias is not None:
            last.bias.zero_()
    model.save_pretrained(folder)


def make_shop(folder, save, settings=PLAIN):
    (folder / "videos").mkdir(parents=True)
    for seed, (name, word) in enumerate(CLIPS.items()):
        write_clip(folder / "videos" / f"{name}.avi", [picture(COLOURS[word], seed)] * 4)
    rows = [{"id": name, "title": f"Number {name}", "media_path": f"{name}.avi"} for name in CLIPS]
    pl.DataFrame(rows).write_csv(folder / "items.csv")
    Project.init(folder / "shop").close()
    save(folder / "shop" / "eyes")
    (folder / "shop" / "kinema.toml").write_text(settings + 'frames = "eyes"\n')
    with Project.open(folder / "shop") as project:
        project.ingest(videos=folder / "videos", items=folder / "items.csv")
        project.extract()
    return folder / "shop"


def taught(save):
    def make(folder):
        save(folder)
        teach(str(folder))

    return make


@pytest.fixture(scope="module", params=SAVE)
def shop(request, tmp_path_factory):
    return make_shop(tmp_path_factory.mktemp(request.param), taught(SAVE[request.param]))


@pytest.mark.parametrize(("word", "best"), [("ak", {"ember", "brick"}), ("bk", {"meadow", "lawn"})])
def test_words_find_clips_of_which_nobody_has_said_them(shop, word, best):
    with Project.open(shop) as project:
        found = project.search(word)
    assert {item.id for item in found.items[:2]} == best
    assert found.bridges == (WAY,)
    assert found.weights == {"look": 0.6}
    assert found.items[0].why == f"looks like the words, {WAY}"
    assert found.items[0].evidence["cosine"]["look"] > 0.9
    assert "no item has any of these words: nearest by meaning" in found.notice


def test_the_order_and_the_cosines_are_the_checkpoints_own(shop):
    model = transformers.AutoModel.from_pretrained(shop / "eyes")
    processor = transformers.AutoImageProcessor.from_pretrained(shop / "eyes")
    word = load_shared_space(str(shop / "eyes")).encode_texts(["ak"])[0]
    cosines = {}
    for name in CLIPS:
        frames = sample_frames(shop.parent / "videos" / f"{name}.avi", num_frames=2, num_pairs=0, max_side=256).array
        pixels = processor(images=list(frames), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            seen = torch.nn.functional.normalize(model.get_image_features(pixel_values=pixels).pooler_output, dim=1)
        mean = seen.mean(0).numpy()
        cosines[name] = float(mean @ word / np.linalg.norm(mean))
    with Project.open(shop) as project:
        found = project.search("ak")
    assert [item.id for item in found.items] == sorted(cosines, key=cosines.get, reverse=True)
    told = {item.id: item.evidence["cosine"]["look"] for item in found.items}
    assert told == pytest.approx(cosines, abs=2e-3)


def test_the_command_line_says_which_way_was_used(shop):
    def call(*arguments):
        done = CliRunner().invoke(main, ["search", "bk", *arguments, "-p", str(shop)], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    assert f"pictures were searched {WAY}" in " ".join(call().split())
    assert json.loads(call("--json"))["bridges"] == [WAY]


def test_a_picture_and_a_clip_are_compared_with_the_same_vectors(shop, tmp_path):
    Image.fromarray(picture(COLOURS["ak"], 9)).save(tmp_path / "red.png")
    write_clip(tmp_path / "green.avi", [picture(COLOURS["bk"], 8)] * 4)
    with Project.open(shop) as project:
        assert {item.id for item in project.search(image=tmp_path / "red.png").items[:2]} == {"ember", "brick"}
        assert {item.id for item in project.search(clip=tmp_path / "green.avi").items[:2]} == {"meadow", "lawn"}
        both = project.search("bk", image=tmp_path / "red.png")
        assert both.weights.keys() == {"frames", "look"}


def test_vectors_of_other_settings_are_not_searched_for_words_and_this_is_said(shop, monkeypatch):
    monkeypatch.setenv("KINEMA_MEDIA__NUM_FRAMES", "1")
    with Project.open(shop) as project:
        found = project.search("ak")
    assert (found.items, found.bridges) == ((), ())
    assert "pictures are not searched for the words: the frames vectors come from another encoder" in found.notice


def test_a_space_that_cannot_be_loaded_leaves_the_words_and_says_so(shop, monkeypatch):
    def broken(place, device):
        raise ConfigError("the text half is gone")

    monkeypatch.setattr(bridges, "_load_shared_space", broken)
    with Project.open(shop) as project:
        found = project.search("ember")
    assert [item.id for item in found.items] == ["ember"]
    assert "pictures are not searched for the words: the text half is gone" in found.notice


def test_pictures_that_count_nothing_are_not_searched_for_words(shop, monkeypatch):
    monkeypatch.setenv("KINEMA_SEARCH__PICTURES_WEIGHT", "0")
    with Project.open(shop) as project:
        assert project.search("ak").items == ()


def test_an_encoder_that_does_not_read_is_told_of(tmp_path):
    with Project.open(make_shop(tmp_path, save_vit)) as project:
        found = project.search("lawn")
    assert [item.id for item in found.items] == ["lawn"]
    assert "shares no space with words and names nothing it sees, and there is no text encoder" in found.notice
