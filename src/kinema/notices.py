"""What a person should know of an answer: a sentence, and a code with its values from which it can be said in another language.

Whoever writes a notice gives all three, so that no reader has to take sentences apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Code = Literal[
    "catalogue_empty",
    "features_missing",
    "model_missing",
    "model_missing_content",
    "vectors_damaged",
    "ranker_left_out",
    "user_unknown",
    "user_unknown_profile",
    "user_new",
    "user_new_profile",
    "too_few",
    "too_few_users",
    "branch_alone",
    "item_unknown",
    "item_hidden",
    "item_unpublished",
    "nothing_matches",
    "no_item_has_any",
    "no_item_by_signs",
    "meaning_of_any",
    "meaning_of_signs",
    "words_unknown",
    "word_misspelt",
    "words_alone",
    "pictures_left_out",
    "taste_of_unknown",
    "taste_of_new",
    "taste_without_model",
    "split_wrong",
    "users_in_several",
    "guests",
    "other_model_serves",
    "ranker_left_behind",
]
"""Every notice there is. Its values are those of the sentence."""


@dataclass(frozen=True)
class Notice:
    """One remark.

    Attributes:
        code: Which one.
        text: In English.
        values: What the sentence names: ids, words, counts.
    """

    code: Code
    text: str
    values: Mapping[str, Any] = field(default_factory=dict)


def in_words(notices: Iterable[Notice]) -> str:
    """All of them in one line; empty for none.

    Example:
        >>> in_words([Notice("item_hidden", "the item is hidden"), Notice("guests", "2 slates of guests", {"count": 2})])
        'the item is hidden; 2 slates of guests'
    """
    return "; ".join(one.text for one in notices)
