"""The ladder of weaker answers: which sources are trusted on each rung, and what is said about it.

A weaker answer is never an error and never silent: the slate carries a notice that names the remedy.
"""

from collections.abc import Mapping
from typing import Final

from kinema.recommend.coldstart import Footing

TRUST: Final[Mapping[Footing, Mapping[str, float]]] = {
    Footing.HISTORY: {"flm": 2.0, "memory": 2.0, "content": 0.5, "popularity": 0.7, "fresh": 0.1},
    Footing.PROFILE: {"flm": 1.0, "popularity": 1.0, "fresh": 0.25},
    Footing.NOTHING: {"popularity": 1.0, "fresh": 0.25},
}
"""Weight of each source where ranks are fused: without a model, or without a history for it to read."""

OFFSETS: Final[Mapping[Footing, float]] = {Footing.HISTORY: 10.0, Footing.PROFILE: 1.0, Footing.NOTHING: 1.0}
"""See `fuse_ranks`. With a history the sources answer the same question and support each other. Without one, what is
popular and what is new take turns: a new item has no rank of popularity to be supported by."""


def user_notice(user: str, footing: Footing, *, known: bool) -> str:
    """What to say about a user of whom there is no history; empty where there is one.

    Example:
        >>> user_notice("u9", Footing.NOTHING, known=False)
        "user 'u9' is unknown: popular and new items"
    """
    if footing is Footing.HISTORY:
        return ""
    subject = f"user '{user}' has no interactions yet" if known else f"user '{user}' is unknown"
    answer = "items that suit the profile" if footing is Footing.PROFILE else "popular and new items"
    return f"{subject}: {answer}"


def system_notices(*, has_model: bool, has_content: bool, num_damaged: int) -> list[str]:
    """What to say about parts that are missing."""
    notices = []
    if not has_content:
        notices.append("no features yet: nothing is known about what the items show; run: kinema extract")
    if not has_model:
        notices.append(
            f"no model yet: ranked by {'content and ' if has_content else ''}popularity; run: kinema pretrain"
        )
    if num_damaged:
        notices.append(f"damaged vectors (not finite), taken as absent: {num_damaged}; run: kinema extract")
    return notices


def length_notice(*, found: int, wanted: int, removed: Mapping[str, int], noun: str = "items") -> str:
    """What to say about an answer that is shorter than asked for; empty where it is not.

    Example:
        >>> length_notice(found=1, wanted=3, removed={"hidden": 0, "seen": 4})
        'only 1 of 3 items: of the others 4 seen'
    """
    if found >= wanted:
        return ""
    why = ", ".join(f"{count} {reason}" for reason, count in removed.items() if count)
    return f"only {found} of {wanted} {noun}: " + (f"of the others {why}" if why else "there are no more")
