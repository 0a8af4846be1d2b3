"""Examples made different without a change of what they mean: texts, histories and frames.

Pure functions of their input and a NumPy generator: nothing is changed in place, and the same generator state gives the same
result. For a step of training take a generator from the step's seed (`kinema.seeds.generator`).

Changes of histories are given as places, so that times, kinds and whatever else belongs to the events change along.

Shape suffixes: L history length or words, V catalogue, K neighbours, T frames, H height, W width.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from kinema.errors import ConfigError, DataError
from kinema.extras import require

NO_ITEM: Final = -1
"""Fills up the rows of a table of neighbours."""
_MARKS: Final = ".,;:!?\"'()[]"


def drop_words(text: str, random: np.random.Generator, *, share: float) -> str:
    """Leave words out, each with a probability, but never all.

    Args:
        text: Words are what spaces separate.
        random: The draws.
        share: Probability of each word, in [0, 1].

    Returns:
        What is left, in order, one space between words; at least one word where there was any.

    Raises:
        ConfigError: The share is out of range.

    Source: Wei and Zou 2019, "EDA: Easy Data Augmentation", random deletion.

    Example:
        >>> drop_words("the whale sings at night", np.random.default_rng(0), share=0.4)
        'the night'
    """
    _check_share("share of dropped words", share)
    words = text.split()
    if not words:
        return ""
    kept_L = random.random(len(words)) >= share
    if not kept_L.any():
        kept_L[random.integers(len(words))] = True
    return " ".join(word for word, kept in zip(words, kept_L, strict=True) if kept)


def swap_words(text: str, random: np.random.Generator, *, share: float) -> str:
    """Exchange words with their neighbours.

    Args:
        text: Words are what spaces separate.
        random: The draws.
        share: Exchanges per word, in [0, 1]; rounded, so that a short text may stay as it is.

    Returns:
        The same words in another order, one space between them.

    Raises:
        ConfigError: The share is out of range.

    Source: EDA, random swap; we exchange neighbours only, which keeps phrases nearly together.

    Example:
        >>> swap_words("the whale sings at night", np.random.default_rng(0), share=0.2)
        'the whale sings night at'
    """
    _check_share("share of swapped words", share)
    words = text.split()
    for _ in range(round(share * len(words)) if len(words) > 1 else 0):
        at = int(random.integers(len(words) - 1))
        words[at], words[at + 1] = words[at + 1], words[at]
    return " ".join(words)


def replace_synonyms(
    text: str, random: np.random.Generator, *, synonyms: Mapping[str, Sequence[str]], share: float
) -> str:
    """Put synonyms in the place of words that have some.

    Args:
        text: Words are what spaces separate; marks beside a word stay, and so does a capital at its front.
        random: The draws.
        synonyms: Word in small letters -> words that may stand for it. The project has no such table: it depends on the
            language and on what the catalogue is about.
        share: Probability of each word that has synonyms, in [0, 1].

    Returns:
        The text, one space between words.

    Raises:
        ConfigError: The share is out of range.

    Source: EDA, synonym replacement.

    Example:
        >>> replace_synonyms("Whale songs, again", np.random.default_rng(0), synonyms={"songs": ["tunes"]}, share=1.0)
        'Whale tunes, again'
    """
    _check_share("share of replaced words", share)
    found = []
    for word in text.split():
        inner = word.strip(_MARKS)
        choices = synonyms.get(inner.lower()) or ()
        if choices and random.random() < share:
            chosen = choices[int(random.integers(len(choices)))]
            chosen = chosen[:1].upper() + chosen[1:] if inner[:1].isupper() else chosen
            word = word.replace(inner, chosen, 1)  # noqa: PLW2901  # the marks around it stay
        found.append(word)
    return " ".join(found)


def back_translate(
    texts: Sequence[str],
    random: np.random.Generator,
    *,
    translate: Callable[[list[str]], Sequence[str]],
    share: float,
) -> list[str]:
    """Say some texts in other words, by way of another language.

    Args:
        texts: Any number.
        random: The draws.
        translate: The user's own model: texts -> the same texts translated there and back, in the order given. It is called
            once with those that were drawn, and not at all where none was.
        share: Probability of each text, in [0, 1].

    Returns:
        All texts in the order given; one whose translation is empty stays as it was.

    Raises:
        ConfigError: The share is out of range.
        DataError: The translation has not as many texts as it was given.

    Source: Sennrich et al. 2016; as augmentation, Xie et al. 2020 (UDA).

    Example:
        >>> back_translate(["a", "b"], np.random.default_rng(0), translate=lambda some: [x * 2 for x in some], share=1.0)
        ['aa', 'bb']
    """
    _check_share("share of translated texts", share)
    places = np.flatnonzero(random.random(len(texts)) < share).tolist()
    found = list(texts)
    if not places:
        return found
    translated = translate([texts[place] for place in places])
    if len(translated) != len(places):
        raise DataError(
            f"translation must give as many texts as it gets, gave {len(translated)} of {len(places)}; mend the callable"
        )
    for place, text in zip(places, translated, strict=True):
        found[place] = text if text.strip() else texts[place]
    return found


def crop_history(length: int, random: np.random.Generator, *, share: float) -> NDArray[np.int64]:
    """A stretch of a history without a gap.

    Args:
        length: L, >= 0.
        random: The draws.
        share: Of the history that is kept, in (0, 1]; at least one event.

    Returns:
        int64, places that are kept, oldest first.

    Raises:
        ConfigError: The share is out of range.

    Source: crop, mask and reorder are those of CL4SRec (Xie et al. 2022).

    Example:
        >>> crop_history(5, np.random.default_rng(0), share=0.6).tolist()
        [2, 3, 4]
    """
    _check_share("share of a history that is kept", share, lowest_is_open=True)
    size = min(length, ceil(share * length))
    start = int(random.integers(length - size + 1))
    return np.arange(start, start + size, dtype=np.int64)


def mask_history(length: int, random: np.random.Generator, *, share: float) -> NDArray[np.bool_]:
    """Which events of a history are hidden: as many as the share says, anywhere.

    Args:
        length: L, >= 0.
        random: The draws.
        share: That is hidden, in [0, 1]; rounded down, so that something is always left below 1.

    Returns:
        bool [L]; take these events out, or put a mask item into their place.

    Raises:
        ConfigError: The share is out of range.

    Example:
        >>> int(mask_history(5, np.random.default_rng(0), share=0.4).sum())
        2
    """
    _check_share("share of hidden events", share)
    hidden_L = np.zeros(length, dtype=bool)
    hidden_L[random.permutation(length)[: int(share * length)]] = True
    return hidden_L


def reorder_history(length: int, random: np.random.Generator, *, share: float) -> NDArray[np.int64]:
    """A history with the order of one stretch shuffled.

    Args:
        length: L, >= 0.
        random: The draws.
        share: Length of that stretch, in [0, 1]; rounded down.

    Returns:
        int64 [L], a permutation of the places. Times should stay in their order: shuffle the items alone.

    Raises:
        ConfigError: The share is out of range.

    Example:
        >>> reorder_history(6, np.random.default_rng(4), share=0.5).tolist()
        [0, 1, 4, 2, 3, 5]
    """
    _check_share("share of shuffled events", share)
    places_L = np.arange(length, dtype=np.int64)
    size = int(share * length)
    start = int(random.integers(length - size + 1))
    places_L[start : start + size] = random.permutation(places_L[start : start + size])
    return places_L


def substitute_history(
    items_L: NDArray[np.int64], random: np.random.Generator, *, neighbours_VK: NDArray[np.int64], share: float
) -> NDArray[np.int64]:
    """Put an item's neighbours into its place.

    Args:
        items_L: Item numbers, oldest first.
        random: The draws.
        neighbours_VK: Row -> items that may stand for the item of that number, filled up with -1; see `neighbour_table`.
        share: Probability of each item that has neighbours, in [0, 1].

    Returns:
        int64 [L].

    Raises:
        ConfigError: The share is out of range.
        DataError: An item has no row.

    Source: substitution by correlated items, CoSeRec (Liu et al. 2021).

    Example:
        >>> table = np.array([[1, 2], [-1, -1], [0, -1]])
        >>> substitute_history(np.array([0, 1, 2]), np.random.default_rng(0), neighbours_VK=table, share=1.0).tolist()
        [1, 1, 0]
    """
    _check_share("share of substituted items", share)
    if len(items_L) and not 0 <= int(items_L.min()) <= int(items_L.max()) < len(neighbours_VK):
        odd = items_L[(items_L < 0) | (items_L >= len(neighbours_VK))][0]
        raise DataError(
            f"items of a history must have a row in the table of {len(neighbours_VK)} neighbours, item {odd} has none; "
            "make the table for this catalogue"
        )
    counts_L = (neighbours_VK[items_L] != NO_ITEM).sum(axis=1)
    taken_L = (random.random(len(items_L)) < share) & (counts_L > 0)
    which_L = (random.random(len(items_L)) * counts_L).astype(np.int64)
    if not taken_L.any():
        return items_L.astype(np.int64)
    # Neighbours come before the filling, so that the first so many of a row are real.
    return np.where(taken_L, neighbours_VK[items_L, which_L], items_L).astype(np.int64)


def neighbour_table(counts_VV: sparse.csr_matrix, *, num_neighbours: int) -> NDArray[np.int64]:
    """The strongest neighbours of every item in a matrix of item-item weights, such as ``ItemMemory.counts``.

    Args:
        counts_VV: CSR; weights <= 0 are no neighbours, and an item is none of its own.
        num_neighbours: K, >= 1.

    Returns:
        int64 [V, K], strongest first, filled up with -1.

    Raises:
        ConfigError: The number is out of range.

    Example:
        >>> neighbour_table(sparse.csr_matrix([[9.0, 1.0, 2.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), num_neighbours=2)
        array([[ 2,  1],
               [-1, -1],
               [ 0, -1]])
    """
    if num_neighbours < 1:
        raise ConfigError(f"num_neighbours of a table must be >= 1, is {num_neighbours}; raise it")
    table_VK = np.full((counts_VV.shape[0], num_neighbours), NO_ITEM, dtype=np.int64)
    for item in range(counts_VV.shape[0]):
        row = slice(counts_VV.indptr[item], counts_VV.indptr[item + 1])
        others, weights = counts_VV.indices[row], counts_VV.data[row]
        real = (others != item) & (weights > 0)
        order = np.argsort(-weights[real], kind="stable")[:num_neighbours]
        table_VK[item, : len(order)] = others[real][order]
    return table_VK


def flip_frames(
    frames_THW3: NDArray[np.uint8], random: np.random.Generator, *, chance: float = 0.5
) -> NDArray[np.uint8]:
    """A clip seen in a mirror, left and right exchanged; all frames or none.

    Not for tasks that ask for the direction of motion, or for clips with writing.

    Args:
        frames_THW3: RGB.
        random: The draws.
        chance: In [0, 1].

    Raises:
        ConfigError: The chance is out of range.
        DataError: These are no frames.
    """
    _check_share("chance of a flip", chance)
    _check_frames(frames_THW3)
    return frames_THW3[:, :, ::-1].copy() if random.random() < chance else frames_THW3.copy()


def crop_frames(
    frames_THW3: NDArray[np.uint8], random: np.random.Generator, *, smallest: float = 0.8
) -> NDArray[np.uint8]:
    """A window of a clip, the same in all frames, scaled to the size of the whole.

    Args:
        frames_THW3: RGB.
        random: The draws.
        smallest: Share of the sides that is seen at least, in (0, 1]; the window keeps the shape of the picture.

    Returns:
        uint8 of the same shape.

    Raises:
        ConfigError: The share is out of range.
        DataError: These are no frames.
        MissingExtraError: OpenCV is not installed.
    """
    _check_share("smallest share of a picture", smallest, lowest_is_open=True)
    _check_frames(frames_THW3)
    height, width = frames_THW3.shape[1:3]
    side = random.uniform(smallest, 1.0)
    seen_h, seen_w = max(1, round(side * height)), max(1, round(side * width))
    top, left = (int(random.integers(room + 1)) for room in (height - seen_h, width - seen_w))
    window = frames_THW3[:, top : top + seen_h, left : left + seen_w]
    if (seen_h, seen_w) == (height, width):
        return window.copy()
    cv2 = require("cv2")
    scaled: list[NDArray[np.uint8]] = [cv2.resize(np.ascontiguousarray(one), (width, height)) for one in window]
    return np.stack(scaled)


def light_frames(
    frames_THW3: NDArray[np.uint8], random: np.random.Generator, *, strength: float = 0.2
) -> NDArray[np.uint8]:
    """A clip brighter or darker, all frames alike.

    Args:
        frames_THW3: RGB.
        random: The draws.
        strength: The numbers are multiplied by something in [1 - strength, 1 + strength]; in [0, 1].

    Raises:
        ConfigError: The strength is out of range.
        DataError: These are no frames.
    """
    _check_share("strength of a change of light", strength)
    _check_frames(frames_THW3)
    factor = random.uniform(1.0 - strength, 1.0 + strength)
    lit_THW3: NDArray[np.float64] = np.rint(frames_THW3 * factor)
    return np.minimum(lit_THW3, 255).astype(np.uint8)


def _check_share(name: str, share: float, *, lowest_is_open: bool = False) -> None:
    if not 0 <= share <= 1 or (lowest_is_open and share == 0):
        raise ConfigError(f"{name} must be in {'(' if lowest_is_open else '['}0, 1], is {share}")


def _check_frames(frames_THW3: NDArray[np.uint8]) -> None:
    if frames_THW3.ndim != 4 or frames_THW3.shape[3] != 3 or frames_THW3.dtype != np.uint8 or not frames_THW3.size:
        raise DataError(
            f"frames must be uint8 [frames, height, width, 3], are {frames_THW3.dtype} {list(frames_THW3.shape)}; "
            "decode the clip with kinema.media.decode"
        )
