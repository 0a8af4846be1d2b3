"""What goes over the wire of a person's interests, and of what they have set."""

from typing import Annotated

from pydantic import Field

from kinema.serving.wire import Answer, Wire, Word

Weighted = Annotated[dict[Word, Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]], Field(max_length=200)]


class TopicOut(Answer):
    """Interest in a category."""

    name: str
    share: float = Field(description="of what was watched lately; all shares sum to 1")
    num_events: int
    weight: float = Field(description="set by the person: 0 shows none of it, 1 leaves it as it is, more shows more")


class ModalityOut(Answer):
    """A modality of the catalogue, as it is to a person."""

    name: str
    share: float = Field(description="of what holds the history together; all sum to 1, or to 0 where nothing does")
    weight: float = Field(
        description="set by the person, how much likeness in it counts: 0 not at all, 1 as it does, more counts more"
    )


class ProfileOut(Answer):
    """What a person is interested in, and what they have set."""

    user_id: str
    num_events: int
    topics: list[TopicOut]
    modalities: list[ModalityOut]


class ProfileIn(Wire):
    """What a person sets. Weights that are left out of a group go back to 1; a group that is left out stays as it is."""

    topics: Weighted | None = None
    modalities: Weighted | None = Field(default=None, description="names of those that the profile shows")
