"""The ladder of weaker answers: which sources are trusted on each rung, and what is said about it.

A weaker answer is never an error and never silent: the slate carries a notice that names the remedy.
"""

from collections.abc import Mapping
from typing import Final, Literal

from kinema.notices import Code, Notice
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


def user_notices(user: str, footing: Footing, *, known: bool) -> list[Notice]:
    """What to say about a user of whom there is no history; nothing where there is one.

    Example:
        >>> [one.text for one in user_notices("u9", Footing.NOTHING, known=False)]
        ["user 'u9' is unknown: popular and new items"]
    """
    if footing is Footing.HISTORY:
        return []
    has_profile = footing is Footing.PROFILE
    code: Code
    if known:
        code = "user_new_profile" if has_profile else "user_new"
    else:
        code = "user_unknown_profile" if has_profile else "user_unknown"
    subject = f"user '{user}' has no interactions yet" if known else f"user '{user}' is unknown"
    answer = "items that suit the profile" if has_profile else "popular and new items"
    return [Notice(code, f"{subject}: {answer}", {"user": user})]


def system_notices(*, has_model: bool, has_content: bool, num_damaged: int) -> list[Notice]:
    """What to say about parts that are missing."""
    notices = []
    if not has_content:
        text = "no features yet: nothing is known about what the items show; run: kinema extract"
        notices.append(Notice("features_missing", text))
    if not has_model and has_content:
        text = "no model yet: ranked by content and popularity; run: kinema pretrain"
        notices.append(Notice("model_missing_content", text))
    elif not has_model:
        notices.append(Notice("model_missing", "no model yet: ranked by popularity; run: kinema pretrain"))
    if num_damaged:
        text = f"damaged vectors (not finite), taken as absent: {num_damaged}; run: kinema extract"
        notices.append(Notice("vectors_damaged", text, {"count": num_damaged}))
    return notices


def length_notices(
    *, found: int, wanted: int, removed: Mapping[str, int], noun: Literal["items", "users"] = "items"
) -> list[Notice]:
    """What to say about an answer that is shorter than asked for; nothing where it is not.

    Example:
        >>> [one.text for one in length_notices(found=1, wanted=3, removed={"hidden": 0, "seen": 4})]
        ['only 1 of 3 items: of the others 4 seen']
    """
    if found >= wanted:
        return []
    gone = {reason: count for reason, count in removed.items() if count}
    why = ", ".join(f"{count} {reason}" for reason, count in gone.items())
    text = f"only {found} of {wanted} {noun}: " + (f"of the others {why}" if why else "there are no more")
    code: Code = "too_few" if noun == "items" else "too_few_users"
    return [Notice(code, text, {"found": found, "wanted": wanted, "removed": gone})]
