"""Which rules a user gets: a scenario, or one of its variants, always the same for the same user.

No list of who belongs where is kept: a user's place on the line from 0 to 1 follows from their id and the experiment's name, so that
every process agrees, and two experiments deal users out independently of each other.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from kinema.errors import ConfigError
from kinema.recommend.scenario import BUILT_IN, Scenario, check_scenario

CONTROL: Final = "control"
"""Variant of those who get the scenario as it stands, while it has others."""
_BITS: Final = 53


def place_of(experiment: str, who: str) -> float:
    """Where somebody stands on the line from 0 to 1 (exclusive), evenly spread over people.

    Args:
        experiment: Its name.
        who: User id; of a guest the session's.

    Returns:
        The first 53 bits of SHA-256 of both as a fraction.

    Example:
        >>> place_of("home", "u1") == place_of("home", "u1") != place_of("related", "u1")
        True
    """
    digest = hashlib.sha256(f"{len(experiment)}/{experiment}/{who}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> (64 - _BITS)) / (1 << _BITS)


@dataclass(frozen=True)
class Placement:
    """A scenario with its variants.

    Attributes:
        scenario: As it stands.
        variants: Rules and share of the users who get them, in (0, 1], together at most 1; the others get the scenario as it stands.
        experiment: Name that decides who gets what; another name deals users out anew. Empty takes the scenario's.

    Raises:
        ConfigError: Shares or names that cannot be.
    """

    scenario: Scenario
    variants: tuple[tuple[Scenario, float], ...] = ()
    experiment: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be dealt out."""
        name = self.scenario.name
        total = sum(share for _, share in self.variants)
        if any(not 0 < share <= 1 for _, share in self.variants) or total > 1 + 1e-9:
            raise ConfigError(
                f"shares of the variants of scenario '{name}' must be in (0, 1] and sum to at most 1, sum to {total:g}"
            )
        names = [one.variant for one, _ in self.variants]
        if CONTROL in names or len(set(names)) < len(names) or not all(names):
            raise ConfigError(
                f"variants of scenario '{name}' must have names of their own, not '{CONTROL}', have: {', '.join(names)}"
            )

    def of(self, who: str) -> Scenario:
        """The rules somebody gets.

        Args:
            who: User id; of a guest the session's. Empty gets the scenario as it stands.

        Example:
            >>> home = Placement(Scenario("home"), ((Scenario("home", "b", diversity=0.5), 0.5),))
            >>> {home.of(f"u{number}").variant for number in range(20)} == {"control", "b"}
            True
        """
        if not self.variants:
            return self.scenario
        place = place_of(self.experiment or self.scenario.name, who) if who else 1.0
        for rules, share in self.variants:
            if place < share:
                return rules
            place -= share
        return replace(self.scenario, variant=CONTROL)

    @property
    def shares(self) -> dict[str, float]:
        """Variant -> share of the users, the control first; empty without an experiment."""
        if not self.variants:
            return {}
        shares = {rules.variant: share for rules, share in self.variants}
        return {CONTROL: max(0.0, 1.0 - sum(shares.values())), **shares}


@dataclass(frozen=True)
class Scenarios:
    """All scenarios of a service, by name; home, related and search are always there."""

    placements: Mapping[str, Placement] = field(default_factory=dict)

    @classmethod
    def of(cls, placements: Iterable[Placement] = ()) -> "Scenarios":
        """Those given, and the built-in ones that are not among them without any rule."""
        found = {name: Placement(Scenario(name)) for name in BUILT_IN}
        return cls(found | {one.scenario.name: one for one in placements})

    def placement(self, name: str) -> Placement:
        """One scenario with its variants.

        Raises:
            DataError: There is none of this name; the message has the nearest.
        """
        check_scenario(name, self.placements)
        return self.placements[name]

    def rules(self, name: str, who: str) -> Scenario:
        """The rules somebody gets in a scenario; see `Placement.of`.

        Raises:
            DataError: There is none of this name.
        """
        return self.placement(name).of(who)

    def all(self) -> list[Scenario]:
        """Every scenario and every variant."""
        return [
            rules for one in self.placements.values() for rules in (one.scenario, *(rule for rule, _ in one.variants))
        ]
