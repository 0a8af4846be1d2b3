"""Items whose title, tags, description or transcript have the words of a query: names, numbers and rare words, which meaning blurs.

A small inverted index on a sparse matrix. Words may differ by a last letter, by an unfinished end, or by one typing error.

Shape suffixes: V items, T words of the index.
"""

import re
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

FIELDS: Final[Mapping[str, tuple[float, float]]] = {
    "title": (3.0, 0.3),
    "tags": (2.0, 0.3),
    "description": (1.0, 0.75),
    "transcript": (0.5, 0.75),
}
"""Field -> its weight, and how far a long text is marked down. A tag says what an item is about; a description only that
something occurs in it; a transcript only that it is mentioned."""

Spelling = Literal["exact", "ending", "beginning", "typo"]
TRUST: Final[Mapping[Spelling, float]] = {"exact": 1.0, "ending": 0.8, "beginning": 0.6, "typo": 0.6}
"""What a match counts by how it came about."""

_SATURATION: Final = 1.2
_MOST_VARIANTS: Final = 64
_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_UNSPACED: Final = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+|[^\\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+"
)
_FIRST_UNSPACED: Final = "\u3040"
_LAST_UNSPACED: Final = "\u9fff"


def words_of(text: str) -> list[str]:
    """The words of a text as the index knows them: without case, accents and punctuation.

    Chinese and Japanese are written without spaces; there, every two neighbouring characters are a word.

    Example:
        >>> words_of("Café No. 7: the OTTERS!"), words_of("西湖游")
        (['cafe', 'no', '7', 'the', 'otters'], ['西湖', '湖游'])
    """
    plain = text
    for _ in range(2):  # the plain form of a letter in fraktur may be a capital
        plain = unicodedata.normalize("NFKD", plain.casefold())
    plain = _ACCENTS.sub("", plain)
    found = []
    for run in _UNSPACED.findall(unicodedata.normalize("NFC", plain)):
        if len(run) > 1 and _FIRST_UNSPACED <= run[0] <= _LAST_UNSPACED:
            found += [run[at : at + 2] for at in range(len(run) - 1)]
        else:
            found.append(run)
    return found


@dataclass(frozen=True)
class WordMatch:
    """What a query's words have found.

    Attributes:
        shares_V: float32 in [0, 1), how much of the query an item has: 0 for none of its words; rare words count more, and so
            do title and tags.
        variants: Word of the query -> word of the index -> how they are related, the most trusted first and of these the one
            that most items have; empty for a word that nothing has.
        rarities: Word of the query -> logarithm of how rare it is, > 0.
    """

    shares_V: NDArray[np.float32]
    variants: Mapping[str, Mapping[str, Spelling]]
    rarities: Mapping[str, float]

    @property
    def unknown(self) -> list[str]:
        """Words of the query that no item has in any spelling."""
        return [word for word, variants in self.variants.items() if not variants]

    @property
    def misspelt(self) -> dict[str, str]:
        """Word of the query -> the word it was read as, where only a typing error explains it."""
        firsts = {word: next(iter(found.items())) for word, found in self.variants.items() if found}
        return {word: other for word, (other, spelling) in firsts.items() if spelling == "typo"}


@dataclass(frozen=True)
class WordIndex:
    """The words of a catalogue.

    Attributes:
        words: T words, sorted.
        weights_VT: CSC float32, how strongly an item stands for a word, in [0, 1): BM25 without its rarity, which depends on
            the spellings a query's word is found in.
    """

    words: tuple[str, ...]
    weights_VT: sparse.csc_matrix

    @classmethod
    def of(cls, fields: Mapping[str, Sequence[str]]) -> Self:
        """Index a catalogue.

        Args:
            fields: Some of `FIELDS` -> one text per item, empty where there is none.

        Returns:
            The index.

        Source:
            Robertson, Zaragoza: The Probabilistic Relevance Framework: BM25 and Beyond, 2009, section 3.6 (BM25F): the
            fields are weighted before saturation, so that a word in title and tags does not count twice in full.

        Example:
            >>> index = WordIndex.of({"title": ["Otters swim", "Kites", "An otter"]})
            >>> index.find("otter").shares_V > 0
            array([ True, False,  True])
        """
        numbers: dict[str, int] = {}
        size = max((len(texts) for texts in fields.values()), default=0)
        total = sparse.csr_matrix((size, 0), dtype=np.float32)
        for name, texts in fields.items():
            weight, long = FIELDS[name]
            counts = _counts(texts, numbers, long=long)
            total = (_widened(total, numbers, size) + weight * counts).tocsr()
        total.data = total.data / (total.data + np.float32(_SATURATION))
        order = sorted(numbers, key=numbers.__getitem__)
        by_word = np.argsort(np.array(order, dtype=object), kind="stable") if order else np.zeros(0, dtype=np.int64)
        return cls(tuple(sorted(order)), total.tocsc()[:, by_word].astype(np.float32))

    @cached_property
    def places(self) -> dict[str, int]:
        """Word -> column."""
        return {word: place for place, word in enumerate(self.words)}

    @cached_property
    def reversed_words(self) -> list[tuple[str, str]]:
        """(Word read backwards, word), sorted: finds words by their ends."""
        return sorted((word[::-1], word) for word in self.words)

    def find(self, text: str) -> WordMatch:
        """Match a query.

        Args:
            text: Any text; repeated words count once.

        Returns:
            Shares per item and the spellings found.
        """
        num_items = self.weights_VT.shape[0]
        shares_V, rarities = np.zeros(num_items, dtype=np.float64), {}
        variants = {word: self.variants(word) for word in dict.fromkeys(words_of(text))}
        for word, found in variants.items():
            word_V = np.zeros(num_items, dtype=np.float32)
            for variant, spelling in found.items():
                place = self.places[variant]
                span = slice(self.weights_VT.indptr[place], self.weights_VT.indptr[place + 1])
                rows = self.weights_VT.indices[span]
                word_V[rows] = np.maximum(word_V[rows], TRUST[spelling] * self.weights_VT.data[span])
            having = int((word_V > 0).sum())
            rarities[word] = float(np.log1p((num_items - having + 0.5) / (having + 0.5)))
            shares_V += rarities[word] * word_V
        most = sum(rarities.values()) or 1.0
        return WordMatch((shares_V / most).astype(np.float32), variants, rarities)

    def variants(self, word: str) -> dict[str, Spelling]:
        """Words of the index that a query's word may mean.

        A known word may differ by its last letter (plurals in many languages). An unknown one may be unfinished, else it
        may have one wrong, missing, added or swapped letter. Words with a digit are taken as they are: 2021 is not 2022.
        """
        known: dict[str, Spelling] = {word: "exact"} if word in self.places else {}
        if not word.isalpha():
            return known
        longer = self._beginning(word) if len(word) >= 3 else []
        if len(word) >= 4:
            endings = [word[:-1], *(one for one in longer if len(one) == len(word) + 1)]
            known |= dict.fromkeys(
                self._usual(one for one in endings if one in self.places and len(one) >= 4), "ending"
            )
        if not known:
            known = dict.fromkeys(self._usual(longer), "beginning")
        if not known and len(word) >= 4:
            known = dict.fromkeys(self._usual(self._one_letter_off(word)), "typo")
        return known

    def _usual(self, words: Iterable[str]) -> list[str]:
        """The words that most items have first, and only so many."""
        held = self.weights_VT.indptr
        places = sorted((self.places[one] for one in words), key=lambda place: (held[place] - held[place + 1], place))
        return [self.words[place] for place in places[:_MOST_VARIANTS]]

    def _beginning(self, start: str) -> list[str]:
        """Longer words that begin so, sorted."""
        first = bisect_left(self.words, start)
        last = bisect_left(self.words, start + "\U0010ffff")
        return [one for one in self.words[first:last] if one != start]

    def _one_letter_off(self, word: str) -> list[str]:
        """Words one edit away, sorted.

        One edit leaves either the first or the second half of the word as it is, so only words that share a half are
        compared; a swap across the middle is looked up by itself.
        """
        half = len(word) // 2
        candidates = set(self._beginning(word[:half]))
        end = word[half:][::-1]
        first = bisect_left(self.reversed_words, (end, ""))
        last = bisect_left(self.reversed_words, (end + "\U0010ffff", ""))
        candidates.update(one for _, one in self.reversed_words[first:last])
        swapped = word[: half - 1] + word[half] + word[half - 1] + word[half + 1 :]
        candidates.update({swapped} & self.places.keys())
        return sorted(one for one in candidates if is_one_edit(word, one))


def is_one_edit(left: str, right: str) -> bool:
    """Whether one letter replaced, added, left out, or swapped with its neighbour makes one word of the other.

    Example:
        >>> [is_one_edit("otter", other) for other in ("oter", "ottar", "ottre", "ottters", "otter")]
        [True, True, True, False, False]
    """
    if abs(len(left) - len(right)) > 1 or left == right:
        return False
    same = 0
    while same < min(len(left), len(right)) and left[same] == right[same]:
        same += 1
    rest, other = left[same:], right[same:]
    if len(rest) == len(other):
        return rest[1:] == other[1:] or (rest[:2] == other[:2][::-1] and rest[2:] == other[2:])
    return rest[1:] == other if len(rest) > len(other) else rest == other[1:]


def _counts(texts: Sequence[str], numbers: dict[str, int], *, long: float) -> sparse.csr_matrix:
    """CSR [V, T so far], times each word occurs, marked down in texts that are longer than the mean of the filled ones."""
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    counted = [Counter(words_of(text)) for text in texts]
    lengths = np.array([sum(words.values()) for words in counted], dtype=np.float64)
    mean = float(lengths[lengths > 0].mean()) if (lengths > 0).any() else 1.0
    for row, words in enumerate(counted):
        scale = 1.0 / (1.0 - long + long * lengths[row] / mean)
        for word, count in words.items():
            rows.append(row)
            columns.append(numbers.setdefault(word, len(numbers)))
            values.append(count * scale)
    parts = (np.array(values, dtype=np.float32), (np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)))
    return sparse.csr_matrix(parts, shape=(len(texts), len(numbers)))


def _widened(counts: sparse.csr_matrix, numbers: Mapping[str, int], size: int) -> sparse.csr_matrix:
    """The same counts with a column for every word known by now."""
    wide = sparse.csr_matrix((counts.data, counts.indices, counts.indptr), shape=(size, counts.shape[1]))
    wide.resize(size, len(numbers))
    return wide
