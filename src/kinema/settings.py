"""`kinema.toml`: every setting with its default, its range and what it does; environment variables override the file.

An environment variable is the path of the key in capitals: ``KINEMA_FLM__MAX_EPOCHS=5`` sets ``max_epochs`` in ``[flm]``.
Only assembling code (the project, the recipes, the command line) reads this; the rooms take plain arguments.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from kinema.errors import ConfigError, NotBuiltError
from kinema.media_settings import EncoderSettings, LimitSettings, MediaSettings
from kinema.scenario_settings import SCENARIO_LINES, Name, ScenarioSettings, check_scenarios
from kinema.schema import INTERACTION_KINDS, EventKind
from kinema.service_settings import (
    AuthSettings,
    GorseSettings,
    RateSettings,
    RefreshSettings,
    ServingSettings,
    StoreSettings,
    StreamSettings,
)
from kinema.setting_errors import check_environment, explained
from kinema.training.task_settings import TASKS, check_finetune
from kinema.tuning.domains import check_tune

FILE_NAME: Final = "kinema.toml"


_TASK_LINES: Final = (
    "",
    "[finetune]  # How tasks learn; [finetune.TASK] says it for one, [finetune.TASK.network] what it learns.",
    "# learning_rate = (automatic)  # and every other setting of docs/tasks-training.md; the task chooses what is left out",
    f"# tasks: {', '.join(TASKS)}",
    "",
    "[tune]  # What kinema tune TASK searches, in [tune.TASK]; what is left out is the task's own space, see docs/tasks-tune.md.",
    "# learning_rate = (automatic)  # such as {low = 1e-4, high = 1e-2, log = true}, or a list of values",
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HistorySettings(_Section):
    """Which events speak for an item."""

    kinds: tuple[EventKind, ...] = Field(
        default=INTERACTION_KINDS, min_length=1, description="kinds of events that enter histories"
    )


class FLMSettings(_Section):
    """The model. What is left out is chosen from the size of the data."""

    size: Literal["tiny", "base", "large"] | None = Field(
        default=None, description="tiny for a few cores, base for many, large for an accelerator"
    )
    block: Literal["plain", "ligr"] | None = Field(default=None, description="kind of Transformer blocks")
    filter_share: float | None = Field(default=None, ge=0, lt=1, description="of a frequency filter beside attention")
    time_bias: Literal["none", "history", "query"] | None = Field(
        default=None,
        description="whether attention knows how long ago interactions were: before the newest, or before the question",
    )
    d_model: int | None = Field(
        default=None, ge=8, le=1024, multiple_of=4, description="width of item and user vectors"
    )
    num_blocks: int | None = Field(default=None, ge=1, le=32, description="Transformer blocks")
    num_heads: int | None = Field(default=None, ge=1, le=32, description="attention heads; must divide d_model")
    max_length: int | None = Field(default=None, ge=2, le=4096, description="newest interactions that are read")
    dropout: float | None = Field(default=None, ge=0, le=0.9, description="dropout in the Transformer")
    temperature: float | None = Field(default=None, gt=0, le=1, description="temperature of the softmax over cosines")
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="AdamW's step size")
    max_epochs: int | None = Field(default=None, ge=1, le=10_000, description="most passes over the histories")
    max_seconds: float | None = Field(default=None, gt=0, description="stop training after this time")
    patience: int | None = Field(default=None, ge=1, le=1000, description="validations without gain before stopping")
    weight_sequence: float | None = Field(
        default=None, ge=0, le=10, description="weight of the sequential loss; 0: off"
    )
    weight_collab: float | None = Field(
        default=None, ge=0, le=10, description="weight of the collaborative loss; 0: off"
    )
    collab_terms: tuple[Literal["items", "users"], ...] | None = Field(default=None, description="parts of it")
    weight_content: float | None = Field(default=None, ge=0, le=10, description="weight of the content loss; 0: off")
    content_terms: tuple[Literal["next", "align", "modalities", "reconstruction"], ...] | None = Field(
        default=None, description="parts of it"
    )
    use_memory: bool | None = Field(default=None, description="count which item follows which")
    use_imputation: bool | None = Field(
        default=None, description="let items with few events stand where their content neighbours do"
    )
    use_moments: bool | None = Field(
        default=None, description="learn which moments of a clip matter, beside their plain mean"
    )
    cold_share: float | None = Field(
        default=None,
        ge=0,
        le=10,
        description="how often unwatched items are to be found when right, against watched ones",
    )


class RecommendSettings(_Section):
    """From candidates to a slate."""

    num_candidates: int = Field(default=200, ge=1, le=10_000, description="candidates asked of each retriever")
    diversity: float = Field(default=0.1, ge=0, le=1, description="0: by score alone, 1: by difference alone")
    fresh_share: float = Field(
        default=0.1, ge=0, le=1, description="places of a slate kept for new items that fit the user; 0 keeps none"
    )
    model: Literal["flm", "next"] = Field(
        default="flm", description="what scores: flm, or next, made from it by kinema finetune next"
    )
    ranker: Literal["", "click", "engagement", "several"] = Field(
        default="",
        description="a second opinion on FLM's candidates, made by kinema finetune: click, engagement or several; empty: none",
    )
    ranker_weight: float = Field(default=0.1, ge=0, le=1, description="how far the second opinion counts")
    head_weights: dict[str, float] = Field(
        default={}, description="what each head of the ranker is worth, { click = 1, like = 5 }; empty: clicks alone"
    )
    scenario_weights: dict[str, dict[str, float]] = Field(
        default={}, description="the same for one scenario, { related = { watch = 1 } }"
    )
    matcher: bool = Field(
        default=False, description="similar items as kinema finetune match --what items has learnt, in place of content"
    )
    index: Literal["auto", "exact", "ivf"] = Field(
        default="auto", description="how items near to a user are found: auto, approximately from 50,000 items on"
    )
    popularity_half_life_days: float = Field(
        default=14.0, gt=0, le=3650, description="age at which an event counts half"
    )


class SearchSettings(_Section):
    """What counts in an answer to a search; see docs/search.md."""

    user_weight: float = Field(
        default=0.2, ge=0, le=1, description="how much of the score is the taste of the user who asks"
    )
    words_weight: float = Field(
        default=1.0, ge=0, le=10, description="the query's words found in title, tags, description"
    )
    text_weight: float = Field(
        default=1.0, ge=0, le=10, description="nearness of the query's meaning to the item's text"
    )
    transcript_weight: float = Field(
        default=0.7, ge=0, le=10, description="nearness of the query's meaning to what is said in the clip"
    )
    pictures_weight: float = Field(
        default=1.0, ge=0, le=10, description="the query's words in the picture, times what each way there counts"
    )
    matcher: bool = Field(
        default=False,
        description="meaning is compared as kinema finetune match has learnt, in place of the plain encoder",
    )
    visual: bool = Field(
        default=False,
        description="pictures and clips are compared as kinema finetune visual has learnt, moment by moment",
    )
    reranker: bool = Field(
        default=False, description="read the first places again with the query, by what kinema finetune rerank has made"
    )
    rerank_top: int = Field(default=20, ge=2, le=1000, description="how many places are read again")


class EvaluationSettings(_Section):
    """Protocols and intervals."""

    test_share: float = Field(
        default=0.2, gt=0, lt=0.9, description="temporal: newest share of the interactions that is tested"
    )
    valid_share: float = Field(default=0.1, gt=0, lt=0.9, description="temporal: share before it that is validated on")
    cold_share: float = Field(default=0.1, gt=0, lt=0.9, description="cold: share of the items kept out of training")
    bootstrap_samples: int = Field(
        default=1000, ge=10, le=100_000, description="resamplings of the users for the intervals"
    )


class RuntimeSettings(_Section):
    """How a run executes; changes no result but by its seed."""

    seed: int = Field(default=0, ge=0, lt=1 << 32, description="every random draw follows from it")
    workers: int | None = Field(
        default=None, ge=1, le=256, description="decoding processes; one per core where left out"
    )
    threads: int | None = Field(default=None, ge=1, le=256, description="threads of the numeric libraries")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="where encoders run; FLM runs on the CPU")


class Settings(BaseSettings):
    """All of `kinema.toml`."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix="KINEMA_", env_nested_delimiter="__")

    store: StoreSettings = StoreSettings()
    media: MediaSettings = MediaSettings()
    limits: LimitSettings = LimitSettings()
    encoders: EncoderSettings = EncoderSettings()
    histories: HistorySettings = HistorySettings()
    flm: FLMSettings = FLMSettings()
    recommend: RecommendSettings = RecommendSettings()
    search: SearchSettings = SearchSettings()
    scenarios: dict[Name, ScenarioSettings] = Field(default_factory=dict, validate_default=True)
    evaluation: EvaluationSettings = EvaluationSettings()
    serving: ServingSettings = ServingSettings()
    auth: AuthSettings = AuthSettings()
    rates: RateSettings = RateSettings()
    stream: StreamSettings = StreamSettings()
    refresh: RefreshSettings = RefreshSettings()
    gorse: GorseSettings = GorseSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    finetune: dict[str, Any] = Field(default_factory=dict)
    tune: dict[str, Any] = Field(default_factory=dict)

    @field_validator("scenarios")
    @classmethod
    def _scenarios_work(cls, tree: dict[str, ScenarioSettings], info: ValidationInfo) -> dict[str, ScenarioSettings]:
        weighted = info.data["recommend"].scenario_weights if "recommend" in info.data else {}
        check_scenarios(tree, weighted)
        return tree

    @field_validator("finetune")
    @classmethod
    def _finetune_is_known(cls, tree: dict[str, Any]) -> dict[str, Any]:
        check_finetune(tree)
        return tree

    @field_validator("tune")
    @classmethod
    def _tune_is_known(cls, tree: dict[str, Any]) -> dict[str, Any]:
        check_tune(tree)
        return tree

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, which arrives as constructor arguments."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def find_folder(start: Path) -> Path:
    """The project meant by someone who stands in a folder: that one, one above it, or the only one just below.

    Raises:
        NotBuiltError: There is none, or more than one below.
    """
    for place in (start, *start.parents):
        if (place / FILE_NAME).is_file():
            return place
    below = sorted(path.parent for path in start.glob(f"*/{FILE_NAME}"))
    if len(below) == 1:
        return below[0]
    if below:
        names = ", ".join(path.name for path in below)
        raise NotBuiltError(f"{len(below)} projects are below '{start.name}': {names}; choose one with --project")
    raise NotBuiltError(
        f"no {FILE_NAME} in '{start.name}', above it or just below; name a project with --project, or run: kinema init NAME"
    )


def load_settings(path: Path) -> Settings:
    """Read and check a `kinema.toml`.

    Args:
        path: The file.

    Returns:
        Settings with the environment applied.

    Raises:
        NotBuiltError: There is no such file.
        ConfigError: The file is no TOML, a key is unknown, or a value is out of range.
    """
    if not path.is_file():
        below = sorted(one.parent.name for one in path.parent.glob(f"*/{FILE_NAME}"))
        remedy = f"there is one in {', '.join(below)} below it" if below else f"run: kinema init {path.parent.name}"
        raise NotBuiltError(f"no {FILE_NAME} in '{path.parent.name}'; {remedy}")
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        remedy = (
            "; a section stands once: write its keys below the first [...] of that name"
            if "twice" in str(error)
            else ""
        )
        raise ConfigError(f"{FILE_NAME} is not valid TOML: {error}{remedy}") from error
    return check_settings(tree)


def check_settings(tree: Mapping[str, Any]) -> Settings:
    """Check settings given as nested dictionaries.

    Raises:
        ConfigError: Names the key, the value and what is allowed.

    Example:
        >>> check_settings({"flm": {"dropout": 0.3}}).flm.dropout
        0.3
    """
    check_environment(Settings)
    try:
        return Settings(**tree)
    except ValidationError as error:
        raise ConfigError("; ".join(explained(dict(one), Settings, FILE_NAME) for one in error.errors())) from error


def template() -> str:
    """The text of a new `kinema.toml`: every key, commented out, with its default and meaning."""
    lines = [
        "# Settings of a Kinema project. Every key is optional; what is commented out shows the default.",
        "# Environment variables override this file: KINEMA_FLM__MAX_EPOCHS=5 sets max_epochs in [flm].",
    ]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        if not isinstance(section, type) or not issubclass(section, BaseModel):
            continue
        lines += ["", f"[{name}]  # {(section.__doc__ or '').strip()}"]
        for key, one in section.model_fields.items():
            default = "(automatic)" if one.default is None else _toml(one.default)
            lines.append(f"# {key} = {default}  # {one.description}")
    return "\n".join([*lines, *SCENARIO_LINES, *_TASK_LINES]) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str | SecretStr) else str(value)
