"""What those who run the service have decided of single items, whatever the scenario: hidden, lifted or lowered, pinned to a place."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from kinema.recommend.scenario import Scenario


@dataclass(frozen=True)
class Placement:
    """A decision about one item.

    Attributes:
        hidden: It appears nowhere, whatever the item itself says.
        boost: Added to its relevance, in [-1, 1], on the scale of `kinema.recommend.scenario.Boost`: 1 puts the last candidate level
            with the best, and makes the item a candidate everywhere.
        position: Its place in every slate, from 0; None for no place of its own.
        updated_ms: When it was decided, UTC milliseconds.
    """

    hidden: bool = False
    boost: float = 0.0
    position: int | None = None
    updated_ms: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether it leaves the item as it is."""
        return not self.hidden and not self.boost and self.position is None


@dataclass(frozen=True)
class Placing:
    """All decisions, as slates need them.

    Attributes:
        hidden: Item ids.
        lifts: Item id -> boost.
        pins: Position -> item id; of two for one place the later decision holds.
    """

    hidden: frozenset[str] = frozenset()
    lifts: Mapping[str, float] = field(default_factory=dict)
    pins: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, placements: Mapping[str, Placement]) -> Self:
        """From the decisions by item id.

        Example:
            >>> placing = Placing.of({"a": Placement(boost=0.5), "b": Placement(position=0, updated_ms=1)})
            >>> placing.lifts, placing.pins
            ({'a': 0.5}, {0: 'b'})
        """
        shown = {item: one for item, one in placements.items() if not one.hidden}
        ordered = sorted(shown.items(), key=lambda one: (one[1].updated_ms, one[0]))
        return cls(
            frozenset(item for item, one in placements.items() if one.hidden),
            {item: one.boost for item, one in shown.items() if one.boost},
            {one.position: item for item, one in ordered if one.position is not None},
        )

    def over(self, rules: Scenario) -> Scenario:
        """A scenario's rules with these decisions on top; a place that both give goes to these."""
        if not self.lifts and not self.pins:
            return rules
        own = {place: item for place, item in rules.pins.items() if item not in self.pins.values()}
        return replace(rules, lifts={**rules.lifts, **self.lifts}, pins={**own, **self.pins})
