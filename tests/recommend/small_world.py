"""A catalogue of six clips whose right answers fit in the head, and a model made of plain arrays.

number  title        subject   looks    motion   category   published
0       Otters swim  animals   blue     slow     nature     unknown
1       Otters play  animals   green    fast     nature     unknown
2       Sea waves    water     blue     slow     nature     unknown
3       Goal!        sport     green    fast     sport      unknown
4       News         (nothing but a title)       (none)     unknown
5       Otters new   animals   blue     (none)   nature     day 100
"""

from dataclasses import dataclass, field

import numpy as np

from kinema.recommend.catalogue import Catalogue
from kinema.retrieval.content import joint, unit_rows
from kinema.retrieval.popularity import DAY_MS
from kinema.schema import Item
from kinema.store.histories import Histories

NOW = 101 * DAY_MS
NUM_ITEMS = 6


def world_items():
    rows = [
        ("v0", "Otters swim", ("nature", "water")),
        ("v1", "Otters play", ("nature",)),
        ("v2", "Sea waves", ("nature",)),
        ("v3", "Goal!", ("sport",)),
        ("v4", "News", ()),
        ("v5", "Otters new", ("nature",)),
    ]
    return [
        Item(one, title=title, categories=categories, published_at=100 * DAY_MS if one == "v5" else None)
        for one, title, categories in rows
    ]


def world_catalogue(items=None):
    return Catalogue.of(world_items() if items is None else items)


def world_content():
    none = [0, 0, 0]
    return {
        "text": unit_rows(np.array([[1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0, 0, 1], none, [0.9, 0.1, 0.1]])),
        "frames": unit_rows(np.array([[1, 0, 0], [0, 1, 0], [1, 0.1, 0], [0, 1, 0.3], none, [0.7, 0.2, 0.5]])),
        "motion": unit_rows(np.array([[1, 0, 0.1], [0, 1, 0.3], [1, 0.3, 0], [0, 1, 0], none, none])),
    }


POPULARITY = np.array([10.0, 1.0, 2.0, 30.0, 5.0, 0.0])


def history(*items, num_items=NUM_ITEMS):
    return Histories.from_lists([list(items)], num_items)


@dataclass
class WorldMemory:
    """Counted transitions as a dense table."""

    counts: np.ndarray

    def scores(self, histories):
        rows = [self.counts[histories.of(c)].sum(axis=0) for c in range(histories.num_users)]
        return np.log1p(np.array(rows, dtype=np.float32))

    def connected(self, items):
        scores = self.scores(Histories.from_lists([list(items)], len(self.counts)))[0]
        return np.flatnonzero(scores), scores[scores != 0]

    def links(self, items, others):
        return self.counts[np.asarray(items)][:, others].astype(np.float32)

    def neighbours(self, item, n):
        order = np.lexsort((np.arange(len(self.counts)), -self.counts[item]))[:n]
        return order, self.counts[item][order].astype(np.float32)


def world_memory():
    counts = np.zeros((NUM_ITEMS, NUM_ITEMS))
    counts[0, 4] = 8.0
    counts[3, 1] = 2.0
    return WorldMemory(counts)


@dataclass
class WorldScorer:
    """A user is the mean of what was watched, or a profile's first columns; a score is twenty cosines."""

    item_vectors_VD: np.ndarray
    content_VD: dict
    popularity_V: np.ndarray
    memory: WorldMemory
    content_joint_VD: np.ndarray = field(init=False)

    def __post_init__(self):
        self.content_joint_VD = joint(self.content_VD)

    def encode(self, histories, profiles_CP=None, *, moments_C=None):
        width = self.item_vectors_VD.shape[1]
        rows = np.zeros((histories.num_users, width), dtype=np.float32)
        for c in range(histories.num_users):
            rows[c] = self.item_vectors_VD[histories.of(c)].sum(axis=0)
            if profiles_CP is not None:
                rows[c] += profiles_CP[c][:width]
        return unit_rows(rows)

    def score(self, histories, profiles_CP=None, *, moments_C=None):
        return 20.0 * self.encode(histories, profiles_CP) @ self.item_vectors_VD.T

    def read(self, history, profile_P=None, *, moment_ms=None):
        return WorldReading(self, history, None if profile_P is None else profile_P[None])


@dataclass
class WorldReading:
    """One user, read by a `WorldScorer`."""

    scorer: WorldScorer
    history: Histories
    profile_1P: np.ndarray | None

    @property
    def vector(self):
        return self.scorer.encode(self.history, self.profile_1P)[0]

    def scores_of(self, items):
        return self.scorer.score(self.history, self.profile_1P)[0][items]


def world_scorer():
    content = world_content()
    vectors = unit_rows(np.concatenate([content["text"], content["frames"]], axis=1))
    return WorldScorer(vectors, content, POPULARITY.astype(np.float32), world_memory())


def removed_adds_up(trace):
    return all(step.num_in - sum(step.detail["removed"].values()) == step.num_out for step in trace)
