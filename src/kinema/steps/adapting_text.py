"""`kinema adapt text`: the text encoder reads on in the catalogue's own texts.

Shape suffixes: V items, C held-out items, D width.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.text import TextEncoder, item_text, load_text_encoder
from kinema.errors import DataError, NotBuiltError
from kinema.evaluation.probes import LEAST_CASES, hold_out, matching_rank, neighbour_ndcg, watched_together
from kinema.progress import Progress, silent
from kinema.seeds import generator
from kinema.steps.adapting import (
    Adaptation,
    AdaptOptions,
    AdaptReport,
    Probe,
    adapt_and_judge,
    adapted_folder,
    kept_before,
    log_for_probe,
    run_name,
)
from kinema.store.histories import Histories
from kinema.store.protocols import Store
from kinema.training.adaptation.text import TextLesson

_MOST_CANDIDATES: Final = 10_000
"""Items that are encoded before and after; more would take hours and decide the same."""

_Row = Mapping[str, Any]


def adapt_text(
    *,
    store: Store,
    histories: Histories,
    encoder: str,
    place: str,
    root: Path,
    options: AdaptOptions,
    device: str = "cpu",
    progress: Progress = silent,
) -> AdaptReport:
    """Continue a BERT-family encoder on the catalogue's texts; kept only if it is better on held-out items.

    Args:
        store: Items.
        histories: The log, by which both are judged; may be empty.
        encoder: Name as configured.
        place: Where it is loaded from.
        root: Folder of the project's encoders.
        options: See there.
        device: A torch device.
        progress: Told steps.

    Returns:
        The report.

    Raises:
        NotBuiltError: The catalogue is empty.
        DataError: Too few texts, or nothing to judge by.
        ConfigError: The encoder cannot be loaded, or an option is out of range.
        MissingExtraError: transformers or peft is not installed.
    """
    rows = list(store.items().sort("num").iter_rows(named=True))
    if not rows:
        raise NotBuiltError("the catalogue is empty; run: kinema ingest")
    options.schedule()
    texts = [item_text(row) for row in rows]
    learn, held_out = hold_out(np.flatnonzero([bool(text) for text in texts]), seed=options.seed)
    probe, asked = _choose_probe(rows, histories, learn, held_out, place=place, seed=options.seed, device=device)
    base = load_text_encoder(place, device=device).fingerprint
    run = run_name(
        {"encoder": base, "texts": texts, "held_out": held_out.tolist(), "probe": probe.name, "asked": asked}, options
    )
    folder = adapted_folder(root, "text", place)
    found = kept_before(folder, run)
    if found is not None:
        return found

    def load() -> tuple[TextLesson, dict[str, Any]]:
        items = [rows[row] for row in learn.tolist()]
        lesson = TextLesson(place, items, method=options.method, rank=options.rank, seed=options.seed, device=device)
        return lesson, _facts(lesson, num_items=len(items), num_held_out=len(held_out))

    return adapt_and_judge(Adaptation("text", encoder, place, folder, options, run, load, probe), progress=progress)


def _facts(lesson: TextLesson, *, num_items: int, num_held_out: int) -> dict[str, Any]:
    made = "made new and tied to the token vectors: the checkpoint has none"
    left_out = "not asked: the checkpoint has no such head"
    return {
        "learnt from": f"{num_items} texts",
        "held out": f"{num_held_out} texts",
        "masked-token head": "the checkpoint's" if lesson.has_token_head else made,
        "next-sentence head": "the checkpoint's" if lesson.has_pair_head else left_out,
    }


def _choose_probe(
    rows: Sequence[_Row],
    histories: Histories,
    learn: NDArray[np.int64],
    held_out: NDArray[np.int64],
    *,
    place: str,
    seed: int,
    device: str,
) -> tuple[Probe, str]:
    """What is watched together where the log can tell; else titles and descriptions; else hidden tokens."""
    others = generator(seed, "adaptation/candidates").permutation(learn)[: _MOST_CANDIDATES - len(held_out)]
    candidates_V = np.zeros(len(rows), dtype=bool)
    candidates_V[held_out], candidates_V[others] = True, True
    log = log_for_probe(histories)
    if log is not None:
        cases = watched_together(log, held_out=held_out, candidates_V=candidates_V)
        if len(cases.items_C) >= LEAST_CASES:

            def neighbours(name: str) -> NDArray[np.float64]:
                vectors_VD = _encode(load_text_encoder(name, device=device), rows, candidates_V)
                return neighbour_ndcg(vectors_VD, cases, candidates_V=candidates_V)

            asked = fingerprint([cases.items_C.tolist(), cases.targets_T.tolist()])
            return Probe("NDCG@10: are the nearest items by text those that are watched together", neighbours), asked
    described = np.array([bool(row["title"]) and bool(row["description"]) for row in rows])
    asked_C = held_out[described[held_out]]
    if len(asked_C) >= LEAST_CASES:
        answers = np.flatnonzero(described & candidates_V)

        def matching(name: str) -> NDArray[np.float64]:
            encoder = load_text_encoder(name, device=device)
            titles_CD = encoder.encode([rows[row]["title"] for row in asked_C.tolist()])
            descriptions_VD = encoder.encode([rows[row]["description"] for row in answers.tolist()])
            return matching_rank(titles_CD, descriptions_VD, np.searchsorted(answers, asked_C))

        return Probe("MRR: is a title nearest to its own description", matching), ""
    return _token_probe([rows[row] for row in held_out.tolist()], place=place, seed=seed, device=device), ""


def _token_probe(items: Sequence[_Row], *, place: str, seed: int, device: str) -> Probe:
    """The last resort. A head that was made new would seem to improve whatever the encoder does, so it is refused.

    Raises:
        DataError: The checkpoint has no masked-token head of its own.
    """
    if not TextLesson(place, items, method="full", seed=seed, device=device).has_token_head:
        raise DataError(
            "an adapted text encoder must be judged by a log, by descriptions, or by a masked-token head of its own; there "
            f"are fewer than {LEAST_CASES} held-out items with either, and '{place}' has no such head; "
            "run: kinema ingest with events or descriptions"
        )

    def surprise(name: str) -> NDArray[np.float64]:
        return -TextLesson(name, items, method="full", seed=seed, device=device).surprise(seed=seed)

    return Probe("log-likelihood of hidden tokens", surprise)


def _encode(encoder: TextEncoder, rows: Sequence[_Row], candidates_V: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 [V, D], zero rows for items that are no candidates."""
    vectors_VD = np.zeros((len(rows), encoder.width), dtype=np.float32)
    vectors_VD[candidates_V] = encoder.encode([item_text(rows[row]) for row in np.flatnonzero(candidates_V).tolist()])
    return vectors_VD
