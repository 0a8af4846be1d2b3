"""Deleting an item and erasing a user of a MongoDB store; what names them goes last, so that a call that broke off can be repeated."""

from kinema.store.aside import names_user
from kinema.store.mongo_reads import ALIVE, read_rejects
from kinema.store.mongo_turn import Turn
from kinema.store.mongo_writes import put
from kinema.store.removal import nobody_id


def delete_item(turn: Turn, item_id: str) -> bool:
    """Delete an item; False where there was none."""
    doc = turn.database.items.find_one({"id": item_id} | ALIVE)
    if doc is None:
        return False
    turn.keep()
    put(turn.database.items, {"_id": doc["_id"], "id": item_id, "hidden": True, "deleted": True})
    turn.commit(version=1, items=1)
    return True


def erase_user(turn: Turn, user_id: str) -> int | None:
    """Erase a user; the number of events that are gone, None where nothing was known of such a user."""
    database = turn.database
    turn.keep()
    slates = database.slates.delete_many({"user": user_id}).deleted_count
    of_users = [(doc, one) for doc, one in read_rejects(database) if one.kind in {"event", "user"}]
    named = [doc["_id"] for doc, one in of_users if names_user(one, user_id)]
    for its in named:
        database.rejects.delete_one({"_id": its})
    doc = database.users.find_one({"id": user_id} | ALIVE)
    if doc is None:
        turn.commit()
        return 0 if slates + len(named) else None
    turn.keep()
    events = int(database.events.delete_many({"user": doc["_id"]}).deleted_count)
    put(database.users, {"_id": doc["_id"], "id": nobody_id(), "deleted": True})
    turn.commit(version=1, users=1)
    return events
