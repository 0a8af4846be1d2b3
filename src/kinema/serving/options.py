"""What an application is told besides its engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kinema.schema import EventKind
from kinema.serving.bounds import Limits
from kinema.serving.privacy import Pseudonyms
from kinema.serving.rates import Rates
from kinema.serving.tokens import Tokens


@dataclass(frozen=True)
class ServiceOptions:
    """How a service answers.

    Attributes:
        threads: Answers computed at once.
        max_batch: Events in one request.
        max_upload_bytes: Of one clip.
        max_image_bytes: Of a picture to search with.
        limits: Of requests.
        is_open: Serve without keys; only for loopback.
        tokens: Verifies an issuer's tokens; None where there is none.
        rates: How often a key may ask; None sets no limit.
        pseudonyms: Names of people in logs; None logs no requests.
        personal: Attributes that are masked, in small letters.
        metrics_scope: Who may read ``/metrics``.
        cors_origins: Sites whose pages may ask.
        tls: TLS ends in front of the service.
        session_hours: How long a session of the console lasts.
        feedback_kinds: FeedbackType of gorse's clients -> what it is here, beside `kinema.serving.gorse_mapping.KINDS`.
    """

    threads: int = 1
    max_batch: int = 1000
    max_upload_bytes: int = 512 << 20
    max_image_bytes: int = 20 << 20
    limits: Limits = field(default_factory=Limits)
    is_open: bool = False
    tokens: Tokens | None = None
    rates: Rates | None = None
    pseudonyms: Pseudonyms | None = None
    personal: frozenset[str] = frozenset()
    metrics_scope: str = "read"
    cors_origins: tuple[str, ...] = ()
    tls: bool = False
    session_hours: float = 12.0
    feedback_kinds: Mapping[str, EventKind] = field(default_factory=dict)
