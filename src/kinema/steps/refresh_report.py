"""What `kinema refresh` found and did, for people, for machines and for whoever looks it up later."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from kinema.steps.comparing import Comparison
from kinema.steps.versions import stamp_of

FOLDER: Final = "refresh"
Decision = Literal["published", "kept", "skipped"]


@dataclass(frozen=True)
class RefreshReport:
    """What a refresh did.

    Attributes:
        decision: ``published``; ``kept``, the serving model; ``skipped``, because too little is new to ask about.
        why: One sentence.
        good: Whether the candidate may serve; what ``--dry-run`` wants to know.
        serving: Version that served.
        version: Version that was published; None without.
        new_interactions: Since the serving model was trained.
        asked_from: Moment of the cut, UTC; empty where nothing was asked.
        comparison: The numbers; None where nothing was asked.
        seconds: Stage -> wall time.
        dry_run: Nothing was to be published.
        forced: It was to be published whatever the numbers say.
        file: Where this report lies.
        notices: What a person should know.
    """

    decision: Decision
    why: str
    good: bool
    serving: str
    version: str | None = None
    new_interactions: int = 0
    asked_from: str = ""
    comparison: Comparison | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    dry_run: bool = False
    forced: bool = False
    file: Path | None = None
    notices: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        numbers = None if self.comparison is None else asdict(self.comparison)
        return asdict(self) | {"comparison": numbers, "file": None if self.file is None else self.file.name}

    def written(self, artifacts: Path) -> Path:
        """Write it into the project's ``artifacts/refresh``, under the moment of its writing."""
        path = artifacts / FOLDER / f"{stamp_of(datetime.now(UTC))}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")
        return path
