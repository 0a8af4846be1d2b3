"""What a request may look like: one body per operation, one value per parameter. They stand in the OpenAPI document, and are tried."""

from collections.abc import Mapping
from typing import Any, Final

_EVENT: Final = {
    "user_id": "u1",
    "item_id": "v1",
    "kind": "watch",
    "event_id": "c4a1-0007",
    "timestamp_ms": 1_767_225_600_000,
    "watch_ms": 21_500,
    "context": {"device": "tv"},
}
_ITEM: Final = {
    "title": "Otters play in the snow",
    "description": "Three otters, one hill, no plan.",
    "categories": ["nature", "animals"],
    "tags": ["otter", "snow"],
    "language": "en",
    "published_at": "2026-01-31T12:00:00Z",
    "duration_ms": 42_000,
    "attributes": {"creator": "wild-shorts"},
}
_ASKED: Final = {
    "n": 5,
    "scenario": "home",
    "exclude": ["v2"],
    "session": [{"item_id": "v1", "kind": "click"}],
    "session_id": "s-81",
    "context": {"device": "phone"},
}
_USER: Final = {"UserId": "u1", "Labels": {"country": "de"}, "Comment": "since spring"}
_GORSE_ITEM: Final = {
    "ItemId": "v1",
    "IsHidden": False,
    "Categories": ["nature"],
    "Timestamp": "2026-01-31T12:00:00Z",
    "Labels": ["otter", "snow"],
    "Comment": "Otters play in the snow",
}
_FEEDBACK: Final = {"FeedbackType": "star", "UserId": "u1", "ItemId": "v1", "Timestamp": "2026-01-31T12:00:00Z"}

BODIES: Final[Mapping[str, Any]] = {
    "post_events": {"events": [_EVENT]},
    "put_item": _ITEM,
    "put_user": {"attributes": {"country": "de", "age": 34}},
    "post_recommendations": _ASKED,
    "recommend_to_guest": _ASKED,
    "put_profile": {"topics": {"nature": 2.0, "sports": 0.0}},
    "put_scenario": {"rules": {"caps": {"category": 3}, "boosts": [{"categories": ["nature"], "add": 0.2}]}},
    "preview_scenario": {"scenario": "home", "rules": {"diversity": 0.4}, "user_id": "u1", "n": 5},
    "start_experiment": {"variants": {"b": {"share": 0.5, "diversity": 0.4}}},
    "put_placement": {"boost": 0.25},
    "roll_back_model": {},
    "begin_session": {"key": "kin_abcdefghij_kJ0nX7pY3sQ9vT2wZ5aB8cD1eF4gH6iL0mN3oP6rS9u"},
    "make_key": {"name": "shop", "scopes": ["read", "write"], "expires_days": 90},
    "post_search": {"q": "otters in the snow", "n": 5, "user_id": "u1", "user_weight": 0.2},
    "gorse_recommend_to_session": [_FEEDBACK],
    "gorse_recommend_of_category_to_session": [_FEEDBACK],
    "gorse_insert_user": _USER,
    "gorse_insert_users": [_USER],
    "gorse_change_user": {"Comment": "since summer"},
    "gorse_insert_item": _GORSE_ITEM,
    "gorse_insert_items": [_GORSE_ITEM],
    "gorse_change_item": {"IsHidden": True},
    "gorse_insert_feedback": [_FEEDBACK],
    "gorse_upsert_feedback": [_FEEDBACK],
}
PARAMETERS: Final[Mapping[str, Any]] = {
    "user_id": "u1",
    "item_id": "v1",
    "category": "nature",
    "feedback_type": "star",
    "scenario": "home",
    "key_id": "abcdefghij",
    "q": "otters in the snow",
    "write-back-delay": "10m",
    "write-back-type": "read",
}
