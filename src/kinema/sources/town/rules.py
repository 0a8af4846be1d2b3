"""The numbers that the town is built from, and the names of what is planted."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Self

from kinema.errors import ConfigError

TOPICS: Final = ("sea", "space", "kitchen", "football", "forest", "city", "music", "chess")
STYLES: Final = ("neon", "pastel", "noir", "mosaic", "paper", "sepia")
MOTIONS: Final = ("pan", "tilt", "zoom", "shake", "swing")
SOUNDS: Final = ("bell", "drum", "drone", "chirp", "pluck")

DAY_MS: Final = 86_400_000
START_MS: Final = 1_772_409_600_000
"""2026-03-02 00:00 UTC, a Monday."""

_NO_TASTE: Final[dict[str, Any]] = {"topic_gain": 0.0, "style_gain": 0.0, "motion_gain": 0.0, "focus_gain": 0.0}
_ALONE: Final[dict[str, Any]] = {**_NO_TASTE, "has_sound": True, "has_tints": True, "cold_share": 0.2}
PLANTED: Final[dict[str, dict[str, Any]]] = {
    "all": {},
    "topic": {**_ALONE, "topic_gain": 6.0},
    "style": {**_ALONE, "style_gain": 6.0},
    "motion": {**_ALONE, "motion_gain": 6.0},
    "sound": {**_ALONE, "sound_gain": 6.0},
    "moment": {**_NO_TASTE, "cold_share": 0.2, "style_gain": 6.0, "moment_share": 0.125},
}
"""Name of a town -> what its rules change: ``all`` is the default town, where topic, style and motion count; in the others
one thing alone decides, and can be seen or heard in one way alone. Those with sound have the very same clips and texts, so only the log tells them apart."""

_OF_SOME: Final = ("sound_gain", "second_sound_prob", "has_sound", "has_tints", "moment_share")
_SHOWN: Final = ("cold_share", "demand_skew", "has_sound", "has_tints", "moment_share")


@dataclass(frozen=True)
class Rules:
    """How strong each planted effect is. Gains are log-odds of a click.

    The defaults were chosen so that the oracle reaches an NDCG@10 of about .35 for the next click, popularity stays
    below a third of that, and most of what the oracle knows can be learnt from about six clicks and the content.

    Attributes:
        days: Length of the log.
        cutoff_share: Share of that time after which the training period ends.
        cold_share: Share of the clips that are published after the cut-off.
        cold_window: The cold clips come within this share of the time that is left after the cut-off.
        launch_share: Share of the other clips that are online before the log begins.
        demand_skew: How unequal the demand for topics, styles and motions is: the first of each is liked by 1 + this
            times, the last by 1 - this times as many users as the mean. The back catalogue is even; what is published
            after the cut-off follows the demand.
        topic_gain: A liked topic.
        style_gain: A liked style.
        motion_gain: A liked motion.
        sound_gain: A liked sound; needs ``has_sound``.
        second_gain: A user's second liked topic, style or motion counts this much of the first.
        second_topic_prob: Probability that a user likes a second topic.
        second_style_prob: The same for style.
        second_motion_prob: The same for motion.
        second_sound_prob: The same for sound.
        focus_gain: Added to the topic a session is about, one of the user's liked ones.
        appeal_deviation: Standard deviation of the clips' popularity; cold clips have the mean, for nothing could tell
            theirs.
        fresh_gain: A clip at the moment it is published; fades with its age.
        fresh_days: Days after which that has faded to 1/e.
        bias: A clip with nothing to like.
        examine_prob: Each further place of a slate is looked at with this probability times that of the one before.
        uniform_share: Share of impressions drawn uniformly from all open clips.
        trending_share: Share drawn by popularity and freshness; the rest is drawn by taste.
        sharpness: Inverse temperature of the draw by taste.
        slate_length: Impressions per slate.
        slates_per_session: Mean number of slates in a session.
        events_per_session: Measured mean of events of a session; turns a number of events into a number of sessions.
        newcomer_share: Share of the users who come for the first time after the cut-off.
        hint_prob: Probability that a user's hobby, theme or device is the one of the first liked topic, style or motion;
            otherwise it is drawn blindly.
        has_sound: The clips have a sound track, one of `SOUNDS`.
        has_tints: A style is colours alone, laid over a texture drawn blindly, so that movement tells nothing of it; otherwise
            each style has a palette and a texture of its own.
        moment_share: Share of a clip's time that shows its topic and style; the rest is stock footage in looks of its own.
            0 shows them all the time.

    Raises:
        ConfigError: A sound is liked that no clip has, or the share is out of range.
    """

    days: int = 30
    cutoff_share: float = 0.78
    cold_share: float = 0.1
    cold_window: float = 0.1
    launch_share: float = 0.7
    demand_skew: float = 0.8
    topic_gain: float = 3.2
    style_gain: float = 3.5
    motion_gain: float = 3.5
    second_gain: float = 0.9
    second_topic_prob: float = 0.6
    second_style_prob: float = 0.2
    second_motion_prob: float = 0.2
    focus_gain: float = 1.0
    appeal_deviation: float = 0.5
    fresh_gain: float = 0.3
    fresh_days: float = 1.5
    bias: float = -5.5
    examine_prob: float = 0.9
    uniform_share: float = 0.06
    trending_share: float = 0.08
    sharpness: float = 1.0
    slate_length: int = 3
    slates_per_session: float = 2.4
    events_per_session: float = 17.6
    newcomer_share: float = 0.04
    hint_prob: float = 0.7
    sound_gain: float = 0.0
    second_sound_prob: float = 0.2
    has_sound: bool = False
    has_tints: bool = False
    moment_share: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a taste for what cannot be there."""
        if self.sound_gain and not self.has_sound:
            raise ConfigError(f"has_sound must be true where sound_gain is {self.sound_gain}: the clips are silent")
        if not 0 <= self.moment_share <= 0.5:
            raise ConfigError(
                f"moment_share must be in [0, 0.5], is {self.moment_share}; 0 shows all of it all the time"
            )

    @classmethod
    def planted(cls, taste: str, **changes: Any) -> Self:
        """The rules of a town where one thing decides what is liked.

        Args:
            taste: A name of `PLANTED`.
            **changes: Fields to set otherwise.

        Raises:
            ConfigError: There is no such town, or a change is out of range.

        Example:
            >>> rules = Rules.planted("motion", cold_share=0.3)
            >>> rules.motion_gain, rules.style_gain, rules.cold_share
            (6.0, 0.0, 0.3)
        """
        if taste not in PLANTED:
            raise ConfigError(f"the taste of the town must be one of {', '.join(PLANTED)}, is '{taste}'")
        return replace(cls(), **(PLANTED[taste] | changes))

    def as_dict(self) -> dict[str, Any]:
        """JSON values. What only some towns have is left out of the others, whose files stay as they always were."""
        default = Rules()
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in _OF_SOME or value != getattr(default, name)
        }

    def changed_clips(self) -> dict[str, Any]:
        """What differs from the default town and decides what the clips of a seed show.

        Example:
            >>> Rules(days=20, has_sound=True).changed_clips()
            {'has_sound': True}
        """
        default = Rules()
        return {name: getattr(self, name) for name in _SHOWN if getattr(self, name) != getattr(default, name)}
