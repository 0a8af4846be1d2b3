"""What defines an FLM artefact. Saved in its manifest; nothing about devices, workers or places is in here."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal, Self

from kinema.errors import ConfigError
from kinema.flm.blocks import BLOCKS, BlockKind
from kinema.flm.timing import TIME_KINDS, TimeKind

CONTENT_TERMS: Final = ("next", "align", "modalities", "reconstruction")
COLLAB_TERMS: Final = ("items", "users")

_SHARES: Final = ("dropout", "id_dropout", "modality_dropout", "profile_dropout", "popular_negatives", "filter_share")
_POSITIVE: Final = (
    "d_model", "num_blocks", "num_heads", "max_length", "whitened_width", "temperature", "num_negatives", "batch_tokens", "num_pieces",
    "max_epochs", "learning_rate", "auxiliary_every", "evaluate_every", "patience", "memory_window", "memory_neighbours", "imputation_neighbours",
)  # fmt: skip

_TERMS: Final = ("collab_terms", "content_terms")

SIZES: Final[dict[str, dict[str, Any]]] = {
    "tiny": {},
    "base": {
        "d_model": 128,
        "num_blocks": 3,
        "block": "ligr",
        "num_heads": 4,
        "num_negatives": 1024,
        "batch_tokens": 4096,
        "num_pieces": 4,
        "learning_rate": 2e-3,
    },
    "large": {
        "d_model": 256,
        "num_blocks": 6,
        "block": "ligr",
        "num_heads": 8,
        "num_negatives": 4096,
        "batch_tokens": 16384,
        "num_pieces": 8,
        "learning_rate": 1e-3,
    },
}
"""What each size changes of the defaults for a log."""


@dataclass(frozen=True)
class FLMConfig:
    """Size, objective and choices of one model.

    Attributes:
        d_model: D, width of every item and user vector.
        num_blocks: Transformer blocks.
        block: Their kind: ``plain`` or ``ligr``.
        filter_share: Of the frequency filter beside attention, in [0, 1); 0 for none.
        num_heads: Attention heads; must divide ``d_model``.
        time_bias: Whether attention knows how long ago interactions were: ``none``, before the newest of them
            (``history``), or before the moment of the question (``query``).
        max_length: Newest interactions the Transformer reads.
        dropout: On attention output, feed-forward output and the input.
        use_ids: Learn a vector per item. False gives the content-only model.
        use_content: Read modality features. False gives the ID-only model.
        use_profiles: Read user profiles.
        use_memory: Count item-item transitions and add their score.
        whitened_width: At most this many principal components are kept per modality.
        use_moments: Learn temporal attention over the moments of clips where they are at hand, beside their plain mean.
        content_init: Expected length of a modality's projected vector at the start; a learned ID vector starts near 1.
        id_dropout: Share of items per step that must do without their ID vector.
        modality_dropout: Share of (item, modality) pairs per step that are hidden.
        profile_dropout: Share of histories per step whose profile is hidden.
        temperature: Cosines are divided by it.
        num_negatives: K, uniform negatives shared by the whole step.
        popular_negatives: Share of them that is drawn by popularity instead; the loss then corrects for how often
            each item is drawn (logQ).
        full_softmax_items: Catalogues up to this size use the full softmax instead.
        weight_sequence: Weight of L_seq; 0 switches it and the sequential branch off.
        weight_collab: w_g, start weight of L_collab; 0 switches it off.
        weight_content: w_c, start weight of L_content; 0 switches it off.
        collab_terms: Which parts L_collab has: items (what follows an item), users (the order-free user vector).
        content_terms: Which parts L_content has: next, align, modalities, reconstruction.
        auxiliary_every: L_collab and L_content are computed at every so many steps, and count for as many.
        weight_floor: Share of w_g and w_c that is left at the last epoch.
        memory_window: Transitions reach this many interactions back.
        memory_decay: Weight a counted transition loses per interaction in between.
        memory_query_decay: Weight an interaction of the query loses per newer one; validation may choose another.
        memory_echo: Share of a transition that is counted backwards.
        memory_neighbours: Followers kept per item.
        use_imputation: Let items with few events or none stand where their content neighbours do; else they stand where
            the item tower puts their content.
        imputation_neighbours: Content-nearest warm items that stand in for a cold item's behaviour.
        imputation_sharpness: Softmax factor on their cosines.
        imputation_min_events: Events that make an item warm enough to be a neighbour.
        shrinkage: k, events at which an item's own vector weighs as much as its neighbours'.
        cold_share: Items nobody has watched are raised until their discounted gain in the first 30 places, when they are
            right, is this many times that of watched ones: what is never shown is never learned. 0 ranks by accuracy
            alone, as is done where items have publication dates: fresh items are others than pretended ones.
        cold_discount: Taken off the fused logit of such items where validation cannot tell how often they are right.
        learning_rate: Peak of AdamW; it falls linearly to the last epoch.
        weight_decay: Of AdamW, on matrices only.
        warmup_steps: Steps of linear growth to the peak.
        batch_tokens: Interactions per step.
        num_pieces: Pieces of a step that are computed side by side, each on a core of its own. Part of the result, so it does
            not follow the machine: give a machine of eight cores eight where training takes long.
        max_epochs: Passes over the training histories at most.
        max_seconds: Training time after which the current epoch is the last; 0 means no limit.
        evaluate_every: Epochs between two looks at validation.
        patience: Looks without improvement that end the training.

    Raises:
        ConfigError: A value is out of range.
    """

    d_model: int = 64
    num_blocks: int = 2
    block: BlockKind = "plain"
    filter_share: float = 0.5
    num_heads: int = 2
    time_bias: TimeKind = "none"
    max_length: int = 200
    dropout: float = 0.2
    use_ids: bool = True
    use_content: bool = True
    use_profiles: bool = True
    use_memory: bool = True
    whitened_width: int = 128
    use_moments: bool = True
    content_init: float = 0.3
    id_dropout: float = 0.1
    modality_dropout: float = 0.1
    profile_dropout: float = 0.3
    temperature: float = 0.05
    num_negatives: int = 512
    popular_negatives: float = 0.0
    full_softmax_items: int = 1000
    weight_sequence: float = 1.0
    weight_collab: float = 0.3
    weight_content: float = 0.1
    collab_terms: tuple[str, ...] = COLLAB_TERMS
    content_terms: tuple[str, ...] = CONTENT_TERMS
    auxiliary_every: int = 4
    weight_floor: float = 0.25
    memory_window: int = 20
    memory_decay: float = 0.9
    memory_query_decay: float = 0.75
    memory_echo: float = 0.5
    memory_neighbours: int = 200
    use_imputation: bool = True
    imputation_neighbours: int = 10
    imputation_sharpness: float = 20.0
    imputation_min_events: int = 5
    shrinkage: float = 5.0
    cold_share: float = 0.9
    cold_discount: float = 0.05
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_steps: int = 50
    batch_tokens: int = 1024
    num_pieces: int = 2
    max_epochs: int = 60
    max_seconds: float = 0.0
    evaluate_every: int = 3
    patience: int = 5

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, with the value that is wrong."""
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ConfigError(f"flm.{name} must be > 0, is {getattr(self, name)}; change it in kinema.toml")
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"flm.{name} must be in [0, 1), is {getattr(self, name)}; change it in kinema.toml")
        if self.block not in BLOCKS:
            raise ConfigError(
                f"flm.block must be one of {', '.join(BLOCKS)}, is '{self.block}'; change it in kinema.toml"
            )
        if self.time_bias not in TIME_KINDS:
            raise ConfigError(
                f"flm.time_bias must be one of {', '.join(TIME_KINDS)}, is '{self.time_bias}'; change it in kinema.toml"
            )
        if self.d_model % self.num_heads:
            raise ConfigError(
                f"flm.num_heads must divide flm.d_model, got {self.num_heads} heads for width {self.d_model}"
            )
        if not (self.use_ids or self.use_content):
            raise ConfigError(
                "flm.use_ids and flm.use_content are both false, one must be true: nothing describes an item"
            )
        self._check_losses()

    def _check_losses(self) -> None:
        for name, known in (("content_terms", CONTENT_TERMS), ("collab_terms", COLLAB_TERMS)):
            unknown = [one for one in getattr(self, name) if one not in known]
            if unknown:
                raise ConfigError(
                    f"flm.{name} must be of {', '.join(known)}, has '{unknown[0]}'; change it in kinema.toml"
                )
        if not self.weight_sequence and not (self.weight_collab and self.collab_terms):
            raise ConfigError(
                "flm.weight_sequence and flm.weight_collab are both 0, one must be > 0: nothing teaches what is "
                "watched; change it in kinema.toml, or learn from items alone: kinema pretrain --catalogue-only"
            )

    @property
    def auxiliary_period(self) -> int:
        """Steps from one with auxiliary losses to the next; without a sequential loss they are all there is."""
        return self.auxiliary_every if self.weight_sequence else 1

    @property
    def leading(self) -> Literal["sequential", "collaborative"]:
        """The branch that tells epochs apart: that of the first loss that is on."""
        return "sequential" if self.weight_sequence else "collaborative"

    @classmethod
    def for_data(
        cls, *, num_items: int, num_interactions: int, mean_length: float, size: str = "tiny", **changes: Any
    ) -> Self:
        """Defaults that suit a log of this size (FLM.md section 4).

        Args:
            num_items: V, the size of the catalogue.
            num_interactions: Training interactions.
            mean_length: Interactions per user.
            size: ``tiny`` for a few cores, ``base`` for many, ``large`` for an accelerator.
            **changes: Fields to set otherwise.

        Returns:
            The configuration.

        Raises:
            ConfigError: There is no such size, or a change is out of range.

        Example:
            >>> FLMConfig.for_data(num_items=12101, num_interactions=150000, mean_length=7.0).max_length
            50
        """
        short, small = mean_length < 20, num_interactions < 100_000
        chosen: dict[str, Any] = {
            "num_blocks": 2 if mean_length >= 50 else 1,
            "num_heads": 1 if short else 2,
            "max_length": 50 if short else 200,
            "dropout": 0.3 if short else 0.2,
            "temperature": 0.08 if small else 0.05,
            "num_negatives": 1024 if num_items > 5000 else 512,
            "learning_rate": 6e-3 if small else 4e-3,
            "max_epochs": 30 if small else 15 if short else 25,
            "batch_tokens": 1024 if num_interactions < 300_000 else 2048,
        }
        if size not in SIZES:
            raise ConfigError(f"flm.size must be one of {', '.join(SIZES)}, is '{size}'; change it in kinema.toml")
        return cls(**(chosen | SIZES[size] | changes))

    def with_changes(self, **changes: Any) -> Self:
        """A copy with some fields set otherwise."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """JSON values, for the manifest."""
        return asdict(self) | {name: list(getattr(self, name)) for name in _TERMS}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The configuration a manifest holds.

        Raises:
            ConfigError: A key is unknown.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ConfigError(f"flm.{unknown[0]} is unknown; known: {', '.join(field.name for field in fields(cls))}")
        # A model that was trained before the filter came has none.
        values = {"filter_share": 0.0} | values
        return cls(**(values | {name: tuple(values[name]) for name in _TERMS if name in values}))
