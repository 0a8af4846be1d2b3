"""A person may want likeness in one modality to count more, or not at all: what sounds like what they watched, whatever it looks like.

Shape suffixes: V items, D width, K candidates, H watched items.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.evidence import z_scores
from kinema.recommend.interests import READ
from kinema.recommend.parts import Parts
from kinema.recommend.stages import Ranked
from kinema.recommend.trace import Trace
from kinema.retrieval.query import Query


def lean(parts: Parts, ranked: Ranked, query: Query, weights: Mapping[str, float], *, trace: Trace) -> Ranked:
    """Move the relevance of candidates by how they are like what was watched.

    A candidate's likeness in a modality is measured in deviations over the candidates of the request (see `likeness`), so a
    modality whose cosines are all high counts no more than others. All modalities together count as their mean does; with
    weights the sum over M modalities is ``weight / M * likeness`` instead of ``likeness / M``, and the difference is added
    to relevance, one deviation of likeness for one deviation of relevance. So a weight of 1 changes nothing, 0 takes away
    what a modality adds to the mean, and with 10 it alone decides nearly everything.

    Args:
        parts: Of the recommender.
        ranked: Candidates, best first.
        query: The user in numbers; without a history nothing changes.
        weights: Modality -> weight, >= 0. One that the catalogue lacks changes nothing.
        trace: Told which weights had an effect, and how many candidates moved.
    """
    watched_H = query.items[::-1][:READ]
    if not weights or not len(watched_H) or not len(ranked.items_K):
        return ranked
    pulls = {
        name: (weights[name] - 1) / len(parts.content) * likeness(rows_VD[ranked.items_K], rows_VD[watched_H])
        for name, rows_VD in parts.content.items()
        if weights.get(name, 1) != 1
    }
    felt = [name for name, pull_K in pulls.items() if pull_K.any()]
    if not felt:
        return ranked
    leant = ranked.moved(ranked.relevance_K.std() * np.sum([pulls[name] for name in felt], axis=0))
    num, num_moved = len(leant.items_K), int((leant.items_K != ranked.items_K).sum())
    trace.step("modalities", num, num, weights={name: weights[name] for name in felt}, moved=num_moved)
    return leant


def likeness(rows_KD: NDArray[np.float32], watched_HD: NDArray[np.float32]) -> NDArray[np.float64]:
    """By how many deviations each candidate lies nearer to its nearest watched item than candidates do.

    Args:
        rows_KD: Unit rows of candidates, zero rows where one lacks the modality.
        watched_HD: Of watched items, likewise.

    Returns:
        float64 [K]; 0 for a candidate that lacks the modality, and everywhere where nothing watched has it or all are alike.

    Example:
        >>> likeness(np.float32([[1, 0], [0, 1], [0, 0]]), np.float32([[1, 0]]))
        array([ 1., -1.,  0.])
    """
    known_HD = watched_HD[watched_HD.any(axis=1)]
    if not len(known_HD):
        return np.zeros(len(rows_KD))
    nearest_K = (rows_KD @ known_HD.T).max(axis=1).astype(np.float64)
    return np.nan_to_num(z_scores(np.where(rows_KD.any(axis=1), nearest_K, np.nan)))
