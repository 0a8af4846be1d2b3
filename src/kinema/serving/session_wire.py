"""What goes over the wire when somebody signs in to the console."""

from typing import Annotated

from pydantic import AfterValidator, Field

from kinema.serving.keys import Scope
from kinema.serving.wire import NO_CONTROL, Answer, Wire, plain


class SessionIn(Wire):
    """A key that is shown once."""

    key: Annotated[str, Field(min_length=1, max_length=200, json_schema_extra=NO_CONTROL), AfterValidator(plain)] = (
        Field(description="a whole key, as it was told when it was made")
    )


class SessionOut(Answer):
    """Who asks."""

    open: bool = Field(description="the service asks nobody for a key")
    active: bool = Field(description="somebody is signed in, or the service is open")
    scopes: list[Scope] = Field(description="what they may do")
    key_id: str | None = Field(default=None, description="public part of their key")
    name: str | None = Field(default=None, description="of their key")
    expires_ms: int | None = Field(default=None, description="when the session ends by itself")
