from typing import get_args

import pytest

from kinema.notices import Code, Notice, in_words
from kinema.recommend.coldstart import Footing
from kinema.recommend.fallback import length_notices, system_notices, user_notices


def test_no_code_stands_twice():
    assert len(set(get_args(Code))) == len(get_args(Code))


@pytest.mark.parametrize(
    ("footing", "known", "code"),
    [
        (Footing.NOTHING, False, "user_unknown"),
        (Footing.NOTHING, True, "user_new"),
        (Footing.PROFILE, False, "user_unknown_profile"),
        (Footing.PROFILE, True, "user_new_profile"),
    ],
)
def test_a_user_without_history_has_a_code_for_what_is_shown_instead(footing, known, code):
    [notice] = user_notices("u1", footing, known=known)
    assert (notice.code, notice.values) == (code, {"user": "u1"})


def test_parts_that_are_missing_each_have_a_code():
    told = system_notices(has_model=False, has_content=False, num_damaged=3)
    assert [one.code for one in told] == ["features_missing", "model_missing", "vectors_damaged"]
    assert told[-1].values == {"count": 3}
    assert [one.code for one in system_notices(has_model=False, has_content=True, num_damaged=0)] == [
        "model_missing_content"
    ]


def test_a_short_answer_counts_what_was_left_out_apart_from_its_words():
    [notice] = length_notices(found=1, wanted=3, removed={"hidden": 0, "seen": 2}, noun="users")
    assert notice.code == "too_few_users"
    assert notice.values == {"found": 1, "wanted": 3, "removed": {"seen": 2}}


def test_all_notices_in_one_line():
    assert in_words([]) == ""
    assert in_words([Notice("item_hidden", "hidden"), Notice("guests", "two")]) == "hidden; two"
