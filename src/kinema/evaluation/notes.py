"""What a reader must know before believing a table: the traps of the protocol and what was not measured."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kinema.evaluation.offline import CHANCE
from kinema.evaluation.results import RankingResult

_PROTOCOLS: Final = {
    "leave-one-out": (
        "Each user is cut at their own last interactions, so training holds events that happened after some of the questions. Everything that counts popularity knows a little of the future here; the temporal protocol does not allow that.",
        "Within one millisecond the order of the log decides which interaction is the last one; in logs with coarse time stamps this choice moves all numbers a little.",
    ),
    "temporal": (
        "Nothing was fitted on anything that happened after a question. Histories grow during the test period, models do not: all of them were fitted once, before the validation period.",
    ),
    "cold": (
        "Held-out items were taken out of all training and of the histories that rankers see. Users who had watched one are offered it again, which costs every ranker alike.",
        "Like leave-one-out, this protocol trains on events that happened after some of the questions.",
    ),
}

_FEW = 200


def protocol_notes(
    results: Sequence[RankingResult], *, facts: Mapping[str, Any], ceiling: str = "", slate_length: int = 10
) -> list[str]:
    """Notes that follow from the protocol and from the results themselves.

    Args:
        results: On the same cases.
        facts: Of the split.
        ceiling: Name of the ranker that knows the right answers, if there is one.
        slate_length: Places of the slates behind coverage, Gini, novelty and diversity.

    Returns:
        Sentences for people.
    """
    notes = [
        "The whole catalogue is ranked and nothing is sampled. Equal scores count against the ranker, and what it cannot score stands last.",
        *_PROTOCOLS.get(str(facts.get("protocol", "")), ()),
        "Right means that the log says so. An item that nobody was shown cannot be right, so a ranker that resembles the one that wrote the log has an advantage.",
        "Intervals and differences draw users again. They do not contain the chance in training (another seed gives another model), and they are not corrected for the number of comparisons.",
        "Marks and differences use the paired bootstrap: two intervals may overlap and the difference still be clear.",
        f"Coverage, Gini, novelty and diversity describe the first {slate_length} places before any re-ranking.",
    ]
    early = int(facts.get("test_targets_before_their_publication", 0))
    if early:
        notes.append(
            f"{early} test targets were watched before their recorded publication; they stay candidates of their own case."
        )
    cold = next((len(result.rows["cold"].cases_R) for result in results if "cold" in result.rows), 0)
    if 0 < cold < _FEW:
        notes.append(f"Only {cold} cases have a cold target: read the cold rows by their intervals.")
    if any(result.name == CHANCE for result in results):
        notes.append("Chance is the exact expectation of a random order of each case's candidates, not a run.")
    if ceiling and any(result.name == ceiling for result in results):
        notes.append(
            f"'{ceiling}' knows the true probabilities of the generated service. It is a ceiling in expectation; no real data set has one."
        )
    notes.extend(
        f"'{result.name}' gave {result.num_invalid} scores that are NaN or +inf; they were ranked last."
        for result in results
        if result.num_invalid
    )
    return notes
