"""A split that the owner of a data set has fixed, in files of its own."""

import numpy as np

from kinema.errors import DataError
from kinema.store.histories import Histories
from kinema.store.splits import Cases, Split, assemble


def given(*, train: Histories, valid: Histories, test: Histories) -> Split:
    """Training, validation and test interactions as they were published.

    Test cases are asked with the training history alone, as the published tables of such sets do; the validation items
    are neither known nor removed from the candidates.

    Args:
        train: U rows.
        valid: U rows, what is chosen on; rows may be empty.
        test: U rows, what is reported; rows may be empty.

    Returns:
        One case per user with interactions in the part, all of them its targets.

    Raises:
        DataError: The parts are of different users or items, or a part asks nobody.

    Example:
        >>> rows = [Histories.from_lists(one, num_items=3) for one in ([[0], [1]], [[1], []], [[2], [0]])]
        >>> given(train=rows[0], valid=rows[1], test=rows[2]).facts["test_cases"]
        2
    """
    for name, part in (("valid", valid), ("test", test)):
        if (part.num_users, part.num_items) != (train.num_users, train.num_items):
            raise DataError(
                f"{name} must be of the {train.num_users} users and {train.num_items} items of train, "
                f"is of {part.num_users} and {part.num_items}; number all parts together"
            )
        if not len(part.items):
            raise DataError(f"{name} must hold interactions, holds none; give its file")
    return assemble(
        "given",
        train=train,
        valid=_cases(train, valid),
        test=_cases(train, test),
        published_ms_V=np.full(train.num_items, np.iinfo(np.int64).min),
        hidden_V=np.zeros(train.num_items, dtype=bool),
        facts={"cut": "as published; cases are asked with the training history"},
    )


def _cases(train: Histories, part: Histories) -> Cases:
    users_C = np.flatnonzero(part.lengths)
    asked_ms_C = part.timestamps_ms[part.offsets[:-1][users_C]]
    return Cases(users_C.astype(np.int32), asked_ms_C, train.take(users_C), part.take(users_C))
