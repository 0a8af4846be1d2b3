"""Clips that exist as tokens only: what their frames and their motion say is planted."""

import numpy as np

from kinema.steps.finetuning_clips import ClipLibrary
from kinema.store.features import ModalityTokens
from kinema.store.tokens import TokenShards
from kinema.tasks.clip_recipe import ClipRecipe

RECIPE = ClipRecipe({"frames": "planted", "motion": "planted"}, fingerprints={"frames": "f1", "motion": "m1"})
WIDTHS = {"frames": 12, "motion": 8}


def clip_library(folder, clips, *, names=None, keys=None, rejects=()):
    """Clips as dictionaries modality -> [T, D]; a modality that a clip lacks has no moment."""
    keys = keys or [f"key{number}" for number in range(len(clips))]
    tokens = {}
    for modality, width in WIDTHS.items():
        shards = TokenShards(folder / modality)
        first = {key: number for number, key in reversed(list(enumerate(keys)))}
        arrays = [clips[number].get(modality, np.zeros((0, width))).astype(np.float16) for number in first.values()]
        shards.append(list(first), arrays, [np.arange(len(one)) for one in arrays], [1.0] * len(first))
        tokens[modality] = ModalityTokens(modality, tuple(keys), shards, RECIPE.fingerprints[modality])
    names = names or [f"clip{number}.mp4" for number in range(len(clips))]
    return ClipLibrary(tuple(names), tuple(names), tokens, RECIPE, tuple(rejects))


def planted(num, *, seed=0, noise=0.3):
    """Clips of four classes: bit 0 is what all frames show, bit 1 is how one moment moves. Labels and clips."""
    random = np.random.default_rng(seed)
    labels = np.arange(num) % 4
    clips = []
    for label in labels.tolist():
        frames = random.normal(0, noise, (int(random.integers(3, 7)), WIDTHS["frames"]))
        motion = random.normal(0, noise, (int(random.integers(3, 7)), WIDTHS["motion"]))
        frames[:, 0] += 1.0 if label & 1 else -1.0
        motion[random.integers(len(motion)), 1] += 4.0 if label & 2 else -4.0
        clips.append({"frames": frames, "motion": motion})
    return labels, clips
