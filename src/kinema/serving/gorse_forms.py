"""What gorse's client libraries send and expect. Fields that we do not know are ignored, as gorse does."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic.alias_generators import to_pascal

from kinema.serving.gorse_moments import read_moment
from kinema.serving.wire import Id, Text, Word


def _bounded_moment(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _readable(text: str) -> str:
    read_moment(text)
    return text


_WRITTEN: Final = {"anyOf": [{"type": "string", "maxLength": 100}, {"type": "integer"}]}
GorseMoment = Annotated[
    str,
    Field(max_length=100),
    BeforeValidator(_bounded_moment),
    AfterValidator(_readable),
    WithJsonSchema(_WRITTEN, mode="validation"),
]


class Form(BaseModel):
    """A request or an answer of gorse: its fields are written ``LikeThis``."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True, frozen=True)


class UserChange(Form):
    """What is to be changed of a user; None leaves it as it is."""

    labels: JsonValue = None
    comment: Text | None = None
    subscribe: Annotated[list[Word], Field(max_length=100)] | None = None


class UserForm(UserChange):
    """A user."""

    user_id: Id


class ItemChange(Form):
    """What is to be changed of an item; None leaves it as it is."""

    is_hidden: bool | None = None
    categories: Annotated[list[Word], Field(max_length=100)] | None = None
    timestamp: GorseMoment | None = None
    labels: JsonValue = None
    comment: Text | None = None


class ItemForm(ItemChange):
    """An item."""

    item_id: Id


class FeedbackForm(Form):
    """One thing that happened."""

    feedback_type: Word
    user_id: Id
    item_id: Id
    value: Annotated[float, Field(allow_inf_nan=False)] | None = None
    timestamp: GorseMoment | None = None
    comment: Text | None = None


class Success(Form):
    """How many rows a request has touched."""

    row_affected: int


class Scored(Form):
    """An item or a user, and how well it fits."""

    id: str
    score: float


class UserAnswer(Form):
    """A user as gorse answers it."""

    user_id: str
    labels: JsonValue
    subscribe: list[str] | None = None
    comment: str


class ItemAnswer(Form):
    """An item as gorse answers it."""

    item_id: str
    is_hidden: bool
    categories: list[str]
    timestamp: str
    labels: JsonValue
    comment: str


class FeedbackAnswer(Form):
    """Feedback as gorse answers it."""

    feedback_type: str
    user_id: str
    item_id: str
    value: float
    timestamp: str
    comment: str


class UserPageAnswer(Form):
    """Some users; an empty cursor ends them."""

    cursor: str
    users: list[UserAnswer]


class ItemPageAnswer(Form):
    """Some items."""

    cursor: str
    items: list[ItemAnswer]


class FeedbackPageAnswer(Form):
    """Some feedback."""

    cursor: str
    feedback: list[FeedbackAnswer]


class Health(Form):
    """How the service is."""

    ready: bool
    data_store_error: str | None = None
    cache_store_error: str | None = None
    data_store_connected: bool = True
    cache_store_connected: bool = True
