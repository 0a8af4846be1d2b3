"""Two catalogues that one encoder describes: other items and other users, the same subjects, the same taste.

What an item is about is a small part of its vector; most of it is noise that neighbours by content follow, and that
only a log can teach to overlook.
"""

import numpy as np

from kinema.store.features import ModalityFeatures
from kinema.store.histories import Histories

NUM_SUBJECTS, WIDTH = 6, 20
ENCODER = "planted-1"


class Catalogue:
    """Items, their vectors and the log of users who each like one subject, and popular items of it more."""

    def __init__(self, seed, *, items, users, events):
        random = np.random.default_rng(seed)
        self.subjects = random.permutation(np.arange(items) % NUM_SUBJECTS)
        self.ids = [f"c{seed}v{item}" for item in range(items)]
        appeal = random.gamma(1.0, 1.0, items) + 0.1
        self.users = np.arange(users) % NUM_SUBJECTS
        lists = []
        for subject in self.users:
            chance = appeal * np.where(self.subjects == subject, 1.0, 0.03)
            lists.append(random.choice(items, events, replace=False, p=chance / chance.sum()).tolist())
        self.log = Histories.from_lists(lists, items)
        self.num_items, self._random = items, random

    def modality(self, name="text", *, encoder=ENCODER, tells=0.35):
        """Vectors of the items; the space is the encoder's, the same for every catalogue."""
        space = np.random.default_rng(sum(name.encode()))
        directions = np.linalg.qr(space.normal(size=(WIDTH, NUM_SUBJECTS)))[0].T * WIDTH**0.5
        vectors = tells * directions[self.subjects] + self._random.normal(size=(self.num_items, WIDTH))
        everywhere = np.ones(self.num_items, dtype=bool)
        return ModalityFeatures(name, vectors.astype(np.float32), everywhere, everywhere.astype(np.float32), encoder)

    def quality(self, scores_CV, histories, users_C=None):
        """Share of the ten best unseen items that are of the user's subject. Chance is about a sixth."""
        wanted_C = self.users if users_C is None else self.users[users_C]
        found = []
        for case, scores_V in enumerate(scores_CV):
            left_V = np.array(scores_V, dtype=np.float64)
            left_V[histories.of(case)] = -np.inf
            best = np.argsort(-left_V, kind="stable")[:10]
            found.append(np.mean(self.subjects[best] == wanted_C[case]))
        return float(np.mean(found))
