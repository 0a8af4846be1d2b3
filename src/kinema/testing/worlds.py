"""Generated logs whose right answers are known, so that a test can say what a model must find.

Shape suffixes: U users, V items, F factors, D feature width, C cases.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.seeds import generator
from kinema.store.features import ModalityFeatures
from kinema.store.histories import Histories
from kinema.store.splits import Cases, Split

CARRIERS: Final[Mapping[str, str]] = {"topic": "text", "style": "frames", "motion": "motion"}
"""Which modality alone shows which factor."""

_NUM_VALUES: Final[Mapping[str, int]] = {"topic": 8, "style": 6, "motion": 5}
_LIKED_VALUES: Final = 2


@dataclass(frozen=True)
class TasteWorld:
    """A catalogue in which users like a few values of each factor, and each factor is visible in one modality.

    Attributes:
        split: ``train`` without the cold items and without each user's last two items; ``valid`` asks for the one before
            the last; ``test`` for the last, warm or cold.
        features: Modality -> features.
        utility_UV: float32, log-odds with which each user picks each item: what an oracle ranks by.
    """

    split: Split
    features: Mapping[str, ModalityFeatures]
    utility_UV: NDArray[np.float32]

    @property
    def item_ids(self) -> tuple[str, ...]:
        """Ids in number order."""
        return tuple(f"item-{number}" for number in range(self.split.train.num_items))

    def test_cases(self, *, cold: bool) -> Cases:
        """The test cases whose target is cold, or warm."""
        wanted_C = self.split.cold_V[self.split.test.targets.items] == cold
        return self.split.test.take(np.flatnonzero(wanted_C))


def taste_world(
    *,
    seed: int,
    num_users: int = 600,
    num_items: int = 240,
    num_clicks: int = 9,
    strength: Mapping[str, float] | None = None,
    noise: float = 1.0,
    popularity: float = 0.5,
    cold_share: float = 0.1,
) -> TasteWorld:
    """Generate a world.

    Args:
        seed: Same seed, same world.
        num_users: U.
        num_items: V.
        num_clicks: Clicks per user, at least 3; the last two are held out.
        strength: Factor -> log-odds an item gains when the user likes its value; a factor left out says nothing.
        noise: Spread of the features around their factor's direction, whose length is 3.
        popularity: Spread of the items' own log-odds.
        cold_share: Share of items that appear in test targets only.

    Returns:
        The world.
    """
    strength = {"topic": 3.0, "style": 2.0, "motion": 2.0} if strength is None else strength
    random = generator(seed, "taste-world")
    values = {factor: random.integers(count, size=num_items) for factor, count in _NUM_VALUES.items()}
    utility_UV = random.normal(0, popularity, num_items) + np.zeros((num_users, 1))
    for factor, gain in strength.items():
        count = _NUM_VALUES[factor]
        liked_UF = random.permuted(np.tile(np.arange(count), (num_users, 1)), axis=1) < _LIKED_VALUES
        utility_UV += gain * liked_UF[:, values[factor]]
    cold_V = np.zeros(num_items, dtype=bool)
    cold_V[random.choice(num_items, round(cold_share * num_items), replace=False)] = True
    # Gumbel noise turns sorting into drawing without replacement from the softmax of the utility.
    drawn_UV = np.argsort(-(utility_UV + random.gumbel(size=utility_UV.shape)), axis=1)
    return TasteWorld(
        _split(drawn_UV, cold_V, num_clicks, random),
        {name: _features(name, values[factor], noise, random) for factor, name in CARRIERS.items()},
        utility_UV.astype(np.float32),
    )


def _split(
    drawn_UV: NDArray[np.intp], cold_V: NDArray[np.bool_], num_clicks: int, random: np.random.Generator
) -> Split:
    num_users, num_items = drawn_UV.shape
    warm_rows = [row[~cold_V[row]][: num_clicks - 1] for row in drawn_UV]
    # The last click is the best drawn item among all not yet watched, so warm and cold items meet as they would on the
    # day the cold ones appear.
    lasts = [next(item for item in row if item not in set(warm)) for row, warm in zip(drawn_UV, warm_rows, strict=True)]
    for user in random.permutation(num_users):
        random.shuffle(warm_rows[user])
    users = np.arange(num_users, dtype=np.int32)
    times = np.full(num_users, num_clicks, dtype=np.int64)

    def pack(rows: list[NDArray[np.intp]]) -> Histories:
        return Histories.from_lists([row.tolist() for row in rows], num_items)

    train = pack([row[:-1] for row in warm_rows])
    valid = Cases(users, times - 1, train, pack([row[-1:] for row in warm_rows]))
    test = Cases(users, times, pack(warm_rows), pack([np.array([last]) for last in lasts]))
    published_ms_V = np.full(num_items, np.iinfo(np.int64).min)
    hidden_V = np.zeros(num_items, dtype=bool)
    return Split("taste-world", train, valid, test, cold_V, published_ms_V, hidden_V, {"num_clicks": num_clicks})


def _features(
    name: str, values_V: NDArray[np.integer], noise: float, random: np.random.Generator, width: int = 32
) -> ModalityFeatures:
    """Features that show one factor: a direction per value, plus noise in every direction."""
    directions = random.normal(size=(int(values_V.max()) + 1, width))
    directions *= 3 / np.linalg.norm(directions, axis=1, keepdims=True)
    vectors_VD = directions[values_V] + random.normal(0, noise, (len(values_V), width))
    num_items = len(values_V)
    return ModalityFeatures(
        name=name,
        vectors_VD=vectors_VD.astype(np.float32),
        present_V=np.ones(num_items, dtype=bool),
        quality_V=np.ones(num_items, dtype=np.float32),
        encoder=f"taste-world/{name}",
    )
