"""Towns with one taste alone, with sound, or with a taste that is seen for a moment only."""

import json
import re
from itertools import combinations

import av
import cv2
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.cli.demo import town
from kinema.errors import ConfigError
from kinema.sources.town.clips import draw_frames, plan_clip
from kinema.sources.town.events import simulate
from kinema.sources.town.moments import draw_stock, plan_moment, stock_at
from kinema.sources.town.rules import PLANTED, SOUNDS, STYLES, TOPICS, Rules
from kinema.sources.town.sounds import RATE_HZ, draw_sound
from kinema.sources.town.taste import liked_topics, taste
from kinema.sources.town.truth import Clicks, Truth, load_truth
from kinema.sources.town.world import plan_world
from kinema.sources.town.write import generate

FACTORS = {"topic": "topics_V", "style": "styles_V", "motion": "motions_V", "sound": "sounds_V"}


def _plan(number=3, **changes):
    about = {"seed": 5, "topic": 1, "style": 4, "motion": 0, "caption": "mission log", "item_id": "v0004"}
    return plan_clip(number, **(about | changes))


def _service(taste_name):
    """A town without clips: world, rules, clicks, truth."""
    rules = Rules.planted(taste_name)
    world = plan_world(seed=3, num_clips=100, num_users=60, rules=rules)
    events, sessions = simulate(world, rules, seed=3, num_events=2500, durations_ms_V=np.full(100, 4000))
    clicked = events.filter(pl.col("kind") == "click")
    clicks = Clicks(*(clicked[name].to_numpy() for name in ("user", "item", "timestamp_ms")))
    names = tuple(map(str, range(100))), tuple(map(str, range(60)))
    return world, rules, clicks, Truth(3, rules, world, sessions, clicks, *names)


@pytest.mark.parametrize("name", list(FACTORS))
def test_one_taste_alone_decides_what_is_clicked(name):
    world, rules, clicks, truth = _service(name)
    tastes = {"topic": "topic_tastes_UT", "style": "style_tastes_US", "motion": "motion_tastes_UM"}
    for factor, column in FACTORS.items():
        values_V = getattr(world, column)
        liked_UV = getattr(world, tastes.get(factor, "sound_tastes_UA"))[:, values_V] > 0
        if factor == name:
            assert liked_UV[clicks.users_K, clicks.items_K].mean() > 0.85
        else:
            assert not liked_UV.any()
    users_C, times_C = clicks.users_K[-100:], clicks.times_ms_K[-100:]
    probs_CV = np.exp(truth.next_click_log_probs(users_C, times_C))
    assert probs_CV.sum(axis=1) == pytest.approx(np.ones(100), abs=1e-5)
    hits_C = probs_CV[np.arange(100), clicks.items_K[-100:]]
    assert hits_C.mean() > 2 * (probs_CV > 0).mean(axis=1).mean() / 100
    some = np.array([0, 1])
    assert (taste(world, rules, users_C=some, focus_C=some) > 0).any()


def test_where_no_topic_is_liked_a_session_may_be_about_any():
    world = plan_world(seed=3, num_clips=20, num_users=5, rules=Rules.planted("motion"))
    assert liked_topics(world, np.arange(5)).all()
    default = plan_world(seed=3, num_clips=20, num_users=5, rules=Rules())
    assert np.array_equal(liked_topics(default, np.arange(5)), default.topic_tastes_UT > 0)


def test_sound_is_drawn_aside_and_changes_nothing_else():
    silent = plan_world(seed=3, num_clips=60, num_users=40, rules=Rules())
    heard = plan_world(seed=3, num_clips=60, num_users=40, rules=Rules(has_sound=True, sound_gain=2.0))
    assert silent.sounds_V is None
    assert silent.sound_tastes_UA is None
    for name in ("topics_V", "styles_V", "motions_V", "published_ms_V", "topic_tastes_UT", "activity_U"):
        assert np.array_equal(getattr(silent, name), getattr(heard, name))
    assert sorted(set(heard.sounds_V.tolist())) == list(range(len(SOUNDS)))
    assert (heard.sound_tastes_UA.max(axis=1) == 2.0).all()


def test_the_default_rules_say_nothing_of_what_only_other_towns_have():
    assert not {"moment_share", "has_tints"} & Rules().as_dict().keys()
    assert Rules(**Rules().as_dict()) == Rules()
    for name in PLANTED:
        rules = Rules.planted(name)
        assert Rules(**json.loads(json.dumps(rules.as_dict()))) == rules
    same = "{'cold_share': 0.2, 'has_sound': True, 'has_tints': True}"
    assert {str(Rules.planted(name).changed_clips()) for name in FACTORS} == {same}


def test_a_town_that_nobody_knows_is_an_error():
    with pytest.raises(
        ConfigError, match="taste of the town must be one of all, topic, style, motion, sound, moment, is 'x'"
    ):
        Rules.planted("x")


def test_a_taste_for_sound_without_sound_is_an_error():
    with pytest.raises(
        ConfigError, match=re.escape("has_sound must be true where sound_gain is 1.0: the clips are silent")
    ):
        Rules(sound_gain=1.0)


@pytest.mark.parametrize("share", [-0.1, 0.6])
def test_a_moment_longer_than_half_a_clip_is_an_error(share):
    with pytest.raises(ConfigError, match=re.escape(f"moment_share must be in [0, 0.5], is {share}")):
        Rules(moment_share=share)


@settings(deadline=None)
@given(num_frames=st.integers(36, 72), seed=st.integers(0, 50))
def test_a_moment_lies_within_its_clip_and_sixteen_frames_see_it(num_frames, seed):
    first, stop = plan_moment(num_frames, share=0.125, rng=np.random.default_rng(seed))
    assert 0 <= first < stop <= num_frames
    assert 0.1 <= (stop - first) / num_frames <= 0.15
    seen = ((np.arange(16) + 0.5) * num_frames / 16).astype(int)
    assert ((seen >= first) & (seen < stop)).any()


def test_outside_its_moment_a_clip_shows_neither_its_topic_nor_its_style():
    plans = [_plan(moment_share=0.125, topic=topic, style=style) for topic, style in ((1, 4), (6, 0))]
    first, stop = plans[0].moment
    one, other = (np.array(list(draw_frames(plan))) for plan in plans)
    assert plans[0].moment_ms == (first * 1000 // 12, stop * 1000 // 12)
    whole = np.array(list(draw_frames(_plan())))
    assert np.array_equal(one[first:stop], whole[first:stop])
    assert not np.array_equal(one[first:stop], other[first:stop])
    elsewhere = [frame for frame in range(len(one)) if not first <= frame < stop]
    different = np.array([(one[frame] != whole[frame]).any() for frame in elsewhere])
    assert different.all()


def _grey(plan):
    """What is left of a clip where only its light is seen."""
    return np.array([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in draw_frames(plan)], dtype=int)


@pytest.mark.parametrize("moment_share", [0.0, 0.125])
def test_a_tint_is_told_by_colours_alone_and_movement_cannot_know_it(moment_share):
    tinted = [_plan(style=style, has_tint=True, moment_share=moment_share) for style in range(len(STYLES))]
    lights = [_grey(plan) for plan in tinted]
    assert max(np.abs(light - lights[0]).max() for light in lights) <= 2
    first = tinted[0].moment[0] if moment_share else 0
    looks = [np.array(list(draw_frames(plan))[first], dtype=float).mean(axis=(0, 1)) for plan in tinted]
    assert min(np.abs(one - other).max() for one, other in combinations(looks, 2)) > 4


def test_a_style_of_its_own_texture_is_told_by_light_too():
    lights = [_grey(_plan(style=style)) for style in range(2)]
    assert np.abs(lights[0] - lights[1]).mean() > 20


def test_textures_of_tinted_clips_are_drawn_blindly():
    drawn = [next(draw_frames(_plan(number, style=2, has_tint=True))) for number in range(12)]
    assert np.std([image.mean() for image in drawn]) > 20


def test_stock_footage_has_looks_of_its_own():
    drawn = [draw_stock(48, width=128, height=96, rng=np.random.default_rng(seed)) for seed in range(6)]
    assert {len(stock) for stock in drawn} <= {3, 4, 5}
    for stock in drawn:
        assert stock[0][0] == 0
        assert np.array_equal(stock_at(stock, 47), stock[-1][1])
        assert all(image.shape == (96, 128, 3) and image.dtype == np.uint8 for _, image in stock)
    brightness = [image.mean() for stock in drawn for _, image in stock]
    assert np.std(brightness) > 20


def _bands(sound, seed):
    """Mean and deviation over time of the logarithmic energy in eight octave-like bands, whatever the loudness."""
    wave_N = draw_sound(sound, seconds=4.0, seed=seed).astype(float)
    blocks = wave_N[: len(wave_N) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    power = np.abs(np.fft.rfft(blocks, axis=1)[:, 1:]) ** 2
    edges = (0, 4, 8, 16, 32, 64, 96, 160)
    energy = np.log(np.add.reduceat(power, edges, axis=1) + 1e-3)
    return np.concatenate([energy.mean(axis=0) - energy.mean(), energy.std(axis=0)])


def test_sounds_are_told_apart_in_clips_never_heard_before():
    heard = np.array([[_bands(sound, seed) for seed in range(8)] for sound in range(len(SOUNDS))])
    centres = heard[:, :6].mean(axis=1)
    nearest = np.linalg.norm(heard[:, 6:, None] - centres, axis=3).argmin(axis=2)
    assert (nearest == np.arange(len(SOUNDS))[:, None]).mean() >= 0.9


def test_a_seed_gives_one_sound():
    assert np.array_equal(draw_sound(1, seconds=1.0, seed=2), draw_sound(1, seconds=1.0, seed=2))
    assert not np.array_equal(draw_sound(1, seconds=1.0, seed=2), draw_sound(1, seconds=1.0, seed=3))
    assert np.abs(draw_sound(2, seconds=2.0, seed=2)).max() <= 1.0


@pytest.fixture(scope="module")
def with_sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tastes") / "sound"
    rules = Rules.planted("sound", moment_share=0.125)
    return generate(folder, num_clips=20, num_users=20, num_events=300, rules=rules, workers=1)


def test_a_town_with_sound_and_moments_is_written_with_its_truth(with_sound):
    truth = load_truth(with_sound.folder)
    facts = json.loads((with_sound.folder / "truth.json").read_text())
    assert with_sound.num_cold == 4
    assert truth.rules.sound_gain == 6.0
    assert truth.moments_ms_V2.shape == (20, 2)
    for number, (item, planted) in enumerate(facts["items"].items()):
        assert truth.item_ids[number] == item
        assert planted["sound"] == SOUNDS[truth.world.sounds_V[number]]
        assert planted["topic"] in TOPICS
        assert planted["style"] in STYLES
        assert planted["moment_ms"] == truth.moments_ms_V2[number].tolist()


def test_every_container_carries_the_sound_to_the_end(with_sound):
    items = pl.read_csv(with_sound.folder / "items.csv")
    seen = set()
    for name, duration_ms in items.select("media_path", "duration_ms").iter_rows():
        ending = name.rsplit(".")[-1]
        if ending in seen:
            continue
        seen.add(ending)
        with av.open(str(with_sound.folder / "videos" / name)) as container:
            waves = [frame.to_ndarray().astype(float).ravel() for frame in container.decode(audio=0)]
            assert container.streams.audio[0].codec_context.sample_rate == RATE_HZ
        length_ms = 1000 * sum(map(len, waves)) / RATE_HZ
        assert duration_ms <= length_ms < duration_ms + 200
        assert np.concatenate(waves).std() > 0
    assert seen == {"mp4", "avi", "flv"}


def test_other_rules_about_clips_replace_the_clips_and_other_tastes_keep_them(with_sound):
    sizes = {"num_clips": 20, "num_users": 20, "num_events": 100, "workers": 1}
    again = generate(with_sound.folder, rules=Rules.planted("motion", moment_share=0.125), **sizes)
    assert again.num_rendered == 0
    assert generate(with_sound.folder, rules=Rules.planted("moment"), **sizes).num_rendered == 20
    assert load_truth(with_sound.folder).world.sounds_V is None


def test_the_command_generates_the_town_that_is_asked_for(tmp_path, monkeypatch, with_sound):
    asked = {}

    def note(folder, **arguments):
        asked[folder.name] = arguments["rules"]
        return with_sound

    monkeypatch.setattr("kinema.sources.town.write.generate", note)
    runner = CliRunner()
    for taste_name in PLANTED:
        assert runner.invoke(town, [str(tmp_path / taste_name), "--taste", taste_name]).exit_code == 0
    assert runner.invoke(town, [str(tmp_path / "plain")]).exit_code == 0
    assert asked == {name: Rules.planted(name) for name in PLANTED} | {"plain": Rules()}
    unknown = runner.invoke(town, [str(tmp_path / "x"), "--taste", "love"])
    assert unknown.exit_code == 2
    assert "'love' is not one of 'all', 'topic', 'style', 'motion', 'sound', 'moment'" in unknown.output
