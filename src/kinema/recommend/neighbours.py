"""Users like a user, by what both have watched.

Shape suffixes: U users, N interactions, K users of the answer.
"""

import numpy as np

from kinema.recommend.people import People


def similar_users(people: People, user_id: str, *, num_users: int) -> list[tuple[str, float]]:
    """Users who share the most with a user.

    Args:
        people: Who there is.
        user_id: Whose neighbours are wanted; somebody unknown has none.
        num_users: How many at most.

    Returns:
        Ids with the cosine of the two sets of items, in (0, 1], the nearest first; users who share nothing are left out.

    Example:
        >>> from kinema.store.histories import Histories
        >>> histories = Histories.from_lists([[0, 1], [1, 0], [1, 2], [3]], num_items=4)
        >>> similar_users(People(["ann", "bob", "cem", "dan"], histories), "ann", num_users=5)
        [('bob', 1.0), ('cem', 0.5)]
    """
    number, mine = people.number(user_id), people.history(user_id)
    if number is None or mine is None or not len(mine.items):
        return []
    ids, histories = people.snapshot()
    owners_N = np.repeat(np.arange(len(ids)), histories.lengths)
    common_U = np.bincount(owners_N[np.isin(histories.items, mine.items)], minlength=len(ids))
    common_U[number] = 0
    cosines_U = common_U / np.sqrt(np.maximum(histories.lengths, 1) * len(mine.items))
    users_K = np.argsort(-cosines_U, kind="stable")[:num_users]
    return [(ids[user], float(cosines_U[user])) for user in users_K if cosines_U[user] > 0 and ids[user]]
