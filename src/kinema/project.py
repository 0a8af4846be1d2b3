"""The facade: a project folder opened in Python, with one method per command of `kinema`."""

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from kinema.errors import ConfigError
from kinema.progress import Progress, silent
from kinema.schema import Branch, EventKind, Request, Slate
from kinema.settings import FILE_NAME, Settings, find_folder, load_settings, template
from kinema.steps.live_scenarios import current_scenarios, rule_versions
from kinema.store.opening import open_store
from kinema.store.service_protocols import ServiceStore
from kinema.threads import set_thread_policy

if TYPE_CHECKING:
    from kinema.encoders.extract import ExtractReport
    from kinema.encoders.modality import ClipEncoder
    from kinema.evaluation.experiments import ExperimentReport
    from kinema.recommend.audience import Audience
    from kinema.recommend.search import SearchResult
    from kinema.steps.adapting import AdaptReport
    from kinema.steps.checking import CheckReport
    from kinema.steps.dataset import Dataset
    from kinema.steps.duplicates import DuplicateReport
    from kinema.steps.evaluating import EvaluationReport
    from kinema.steps.ingest import IngestReport
    from kinema.steps.live import LiveReport
    from kinema.steps.model_watch import Serving
    from kinema.steps.pretraining import PretrainReport
    from kinema.steps.project_finetune import Finetune
    from kinema.steps.project_models import Models
    from kinema.steps.project_predict import Predict
    from kinema.steps.project_tune import Tune
    from kinema.steps.ranking_items import RankedItems
    from kinema.steps.refresh_report import RefreshReport
    from kinema.steps.slates import SlateMaker
    from kinema.steps.transferring import DeltaReport
    from kinema.store.profiles import ProfileSchema

_MEDIA_ROOT: Final = "media_root"


class Project:
    """A project folder: settings, store and artefacts.

    Example:
        >>> import tempfile
        >>> with Project.init(Path(tempfile.mkdtemp()) / "shop") as project:
        ...     project.recommend("u1", num_items=3).notice
        'the catalogue is empty; run: kinema ingest'
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self._serving: tuple[tuple[int, ...], Serving] | None = None

    @classmethod
    def init(cls, folder: str | Path) -> Self:
        """Make a new project.

        Args:
            folder: Made if it is not there; must hold no project yet.

        Returns:
            The open project.

        Raises:
            ConfigError: There is a project in it already.
        """
        folder = Path(folder)
        if (folder / FILE_NAME).exists():
            raise ConfigError(f"'{folder}' already holds a project; open it, or remove its {FILE_NAME}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE_NAME).write_text(template(), encoding="utf-8")
        return cls.open(folder)

    @classmethod
    def open(cls, folder: str | Path = ".") -> Self:
        """Open a project.

        Raises:
            NotBuiltError: The folder holds no `kinema.toml`.
            ConfigError: A setting is unknown or out of range.
        """
        folder = Path(folder).resolve()
        settings = load_settings(folder / FILE_NAME)
        set_thread_policy(num_threads=settings.runtime.threads)
        return cls(folder, settings)

    @classmethod
    def find(cls, folder: Path | None = None, *, start: Path | None = None) -> Self:
        """Open the project meant by someone who stands somewhere.

        Args:
            folder: The project; None looks for it.
            start: Where to look, default here: its parents from the inside out, then its folders, if one alone holds a project.

        Raises:
            NotBuiltError: There is no project, or more than one below.
        """
        return cls.open(folder if folder is not None else find_folder((start or Path.cwd()).resolve()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the store."""
        if "store" in self.__dict__:
            self.store.close()
            del self.__dict__["store"]

    def reload(self) -> None:
        """Read `kinema.toml` again, where a command has written into it."""
        self.settings, self._serving = load_settings(self.folder / FILE_NAME), None

    @cached_property
    def store(self) -> ServiceStore:
        """The project's data."""
        return open_store(self.settings.store.place(self.folder), changes=self.folder / "store.changes")

    @property
    def artifacts(self) -> Path:
        """The folder in which the stages meet."""
        return self.folder / "artifacts"

    @property
    def media_root(self) -> Path | None:
        """Where media paths start; None before any video was ingested."""
        configured = self.settings.media.root or self.store.meta(_MEDIA_ROOT)
        return None if not configured else (self.folder / configured).resolve()

    @property
    def workers(self) -> int:
        """Decoding processes."""
        return self.settings.runtime.workers or os.cpu_count() or 1

    def dataset(self, *, profile_schema: "ProfileSchema | None" = None) -> "Dataset":
        """Everything a model or a slate needs, read once; profile columns are chosen anew unless given."""
        from kinema.steps.dataset import read_dataset  # noqa: PLC0415  # the facade starts light

        return read_dataset(
            self.store,
            kinds=self.settings.histories.kinds,
            features_folder=self.artifacts / "features",
            profile_schema=profile_schema,
        )

    def ingest(
        self,
        *,
        videos: str | Path | None = None,
        items: str | Path | None = None,
        users: str | Path | None = None,
        events: str | Path | None = None,
        source: tuple[str, str | Path] | None = None,
        mapping: Mapping[str, str] | None = None,
        strict: bool = False,
        progress: Progress = silent,
    ) -> "IngestReport":
        """Read files into the store; the same file twice changes nothing.

        Args:
            videos: Folder of video files; the first one becomes the media root, which later ones lie in.
            items: Table of items: CSV, JSON lines or Parquet.
            users: Table of users.
            events: Table of events.
            source: Name of a known data set and its folder, such as ``("movielens-100k", "ml-100k")``.
            mapping: Column of theirs -> column of ours.
            strict: A bad row is an error instead of being set aside.
            progress: Told rows read.

        Returns:
            Counts per kind, per file, and where the rejects are.

        Raises:
            DataError: Nothing to read, a required column is missing, or a bad row with ``strict``.
        """
        from kinema.steps.ingest_project import GivenFiles, ingest_project  # noqa: PLC0415  # the facade starts light

        known = None if source is None else (source[0], Path(source[1]))
        given = GivenFiles(_path(videos), _path(items), _path(users), _path(events), known)
        return ingest_project(self, given, mapping=mapping, strict=strict, progress=progress)

    def check(self) -> "CheckReport":
        """Counts, time range, density, and what was set aside."""
        from kinema.steps.checking import check_store  # noqa: PLC0415  # the facade starts light
        from kinema.steps.dataset import read_histories  # noqa: PLC0415  # the same

        return check_store(self.store, read_histories(self.store, kinds=self.settings.histories.kinds))

    def extract(
        self, *, extra: Mapping[str, "ClipEncoder"] | None = None, progress: Progress = silent
    ) -> "ExtractReport":
        """Turn media and text into vectors; finished clips are kept by content. Two processes can share the work.

        Args:
            extra: Modality -> an encoder of clips of your own (`kinema.encoders.modality`), beside those of the settings. A
                run without it leaves its vectors out of what follows, and keeps them.
            progress: Told clips and texts.

        Returns:
            Counts per modality, and the clips that could not be decoded (also listed in `rejects/`).

        Raises:
            NotBuiltError: The catalogue is empty.
        """
        from kinema.steps.extracting import extract_project  # noqa: PLC0415  # the facade starts light

        return extract_project(**self._parts, extra=extra, progress=progress)

    def take_in(self, video: str | Path, *, progress: Progress = silent) -> "LiveReport":
        """Take a clip in, understand it and say where it stands, without training; see `kinema.steps.live.take_in`."""
        from kinema.steps.live import take_in  # noqa: PLC0415  # the facade starts light

        if self.media_root is None:
            self.store.set_meta(_MEDIA_ROOT, "media")
        return take_in(Path(video), project=self, rejects_folder=self.folder / "rejects", progress=progress)

    def duplicates(self, *, progress: Progress = silent) -> "DuplicateReport":
        """Find clips that show the same; see `kinema.steps.duplicates`. From then on a slate shows one of each group."""
        from kinema.steps.duplicates import duplicates_of_project  # noqa: PLC0415  # the facade starts light

        return duplicates_of_project(**self._parts, progress=progress)

    def adapt(self, modality: Literal["text", "frames"], **options: Any) -> "AdaptReport":
        """Let an encoder learn on from the catalogue without labels; kept only if it is better on held-out items.

        Args:
            modality: Which encoder.
            **options: See `kinema.steps.adapting_project.adapt_project`: ``encoder``, ``use``, ``progress``, ``epochs``, ...
        """
        from kinema.steps.adapting_project import adapt_project  # noqa: PLC0415  # brings torch

        report = adapt_project(modality, **self._parts, **options)
        if report.in_use:
            self.reload()
        return report

    def pretrain(self, *, seed: int | None = None, **how: Any) -> "PretrainReport":
        """Pre-train FLM on everything but each user's newest interaction, which it is chosen by, and let it serve.

        Args:
            seed: Overrides the project's.
            **how: ``catalogue_only``, ``source``, ``zero_shot``, ``tune_seconds``, ``tune_trials``, ``use_tuned``, ``progress``;
                `kinema.steps.project_models.pretrain_project` has them and the errors.
        """
        from kinema.steps.project_models import pretrain_project  # noqa: PLC0415  # brings torch

        return pretrain_project(self, seed=self._seed(seed), **how)

    @property
    def models(self) -> "Models":
        """Versions of the model: ``project.models.list()``, ``show``, ``rollback``, ``publish``."""
        from kinema.steps.project_models import Models  # noqa: PLC0415  # brings torch

        return Models(self)

    def refresh(self, **options: Any) -> "RefreshReport":
        """Train on what is new, and publish only if it is no worse; options: `kinema.steps.refreshing.refresh_project`."""
        from kinema.steps.refreshing import refresh_project  # noqa: PLC0415  # brings torch

        return refresh_project(self, **options)

    def delta(self, action: Literal["apply", "remove"], *, folder: str | Path | None = None) -> "DeltaReport":
        """Put what a training from a source has changed on the model again, or take it off; `change_delta` has the errors.

        Args:
            action: Which.
            folder: Of the delta; None takes the one that the project's last `pretrain` from a source wrote.
        """
        from kinema.steps.transferring import change_delta  # noqa: PLC0415  # brings torch

        keep = self.settings.serving.keep_versions
        return change_delta(action, artifacts=self.artifacts, delta_folder=_path(folder), keep=keep)

    def evaluate(
        self,
        protocol: str = "leave-one-out",
        *,
        quick: bool = False,
        seed: int | None = None,
        command: str | None = None,
        progress: Progress = silent,
    ) -> "EvaluationReport":
        """Measure FLM against baselines, all trained on the protocol's training part only.

        Args:
            protocol: ``leave-one-out``, ``temporal`` or ``cold``.
            quick: Leave out the models trained for comparison.
            seed: Overrides the project's.
            command: What the user typed.
            progress: Told each step.
        """
        from kinema.steps.evaluating_project import evaluate_project  # noqa: PLC0415  # brings torch

        return evaluate_project(self, protocol, seed=self._seed(seed), quick=quick, command=command, progress=progress)

    @property
    def finetune(self) -> "Finetune":
        """One method per task: ``project.finetune.click(max_epochs=3)``, with its report."""
        from kinema.steps.project_finetune import Finetune  # noqa: PLC0415  # brings torch

        return Finetune(self)

    @property
    def tune(self) -> "Tune":
        """Searches for the settings of a task: ``project.tune.click(trials=30, write=True)``."""
        from kinema.steps.project_tune import Tune  # noqa: PLC0415  # brings torch

        how: dict[str, Any] = {"media_root": self.media_root, "workers": self.workers, "written": self.reload}
        return Tune(self.settings, self.folder, **how)

    @property
    def predict(self) -> "Predict":
        """What was fine-tuned, applied to tables and clips: ``project.predict.match(...)``."""
        from kinema.steps.project_predict import Predict  # noqa: PLC0415  # brings torch

        return Predict(self)

    def recommend(
        self,
        user: str,
        *,
        num_items: int = 10,
        exclude: Sequence[str] = (),
        scenario: str = "home",
        branch: Branch | None = None,
    ) -> Slate:
        """Recommend items to a user; an unknown one gets what is popular now, and the slate's notice says so.

        What the user has watched or disliked is left out; a ``branch`` of the model answers alone. Errors:
        `kinema.recommend.branches.answer_alone`; `DataError` if ``num_items`` is out of range or the ``scenario`` unknown.
        """
        disliked = (event.item for event in self.store.user_events(user) if event.kind is EventKind.DISLIKE)
        left_out = tuple(dict.fromkeys((*exclude, *disliked)))
        return self.slates().recommend(Request(user, num_items, scenario, left_out), branch=branch)

    def rank(self, user: str, items: Sequence[str], **options: Any) -> "RankedItems":
        """Put given candidates in order, by FLM and the ranker; options and errors: `kinema.steps.ranking_items.rank_items`."""
        from kinema.steps.ranking_items import rank_items  # noqa: PLC0415  # the facade starts light

        return rank_items(self.slates(), user, items, ranker=self.settings.recommend.ranker, **options)

    def similar(self, item: str, *, num_items: int = 10, modality: str | None = None) -> Slate:
        """The items nearest to an item; one that is unknown is a `DataError` that names the closest ids."""
        return self.slates().similar(item, num_items=num_items, modality=modality)

    def search(self, text: str = "", **options: Any) -> "SearchResult":
        """Find items by words, by a picture or by a clip; options and errors: `kinema.steps.searching.search_project`."""
        from kinema.steps.searching import search_project  # noqa: PLC0415  # the facade starts light

        return search_project(self.slates(), text, folder=self.folder, settings=self.settings, **options)

    def audience(self, item: str, *, num_users: int = 10) -> "Audience":
        """Who should see an item, above all a new one; see `kinema.recommend.pipeline.Recommender.audience`."""
        return self.slates().audience(item, num_users=num_users)

    def experiment(self, scenario: str, *, since: str | None = None) -> "ExperimentReport":
        """Compare the variants of a scenario; errors: `kinema.steps.experimenting.experiment_now`."""
        from kinema.steps.experimenting import experiment_now  # noqa: PLC0415  # the facade starts light

        return experiment_now(self.store, self.settings.scenarios, scenario, since=since)

    def slates(self) -> "SlateMaker":
        """The recommender, bound to the store as it is now; kept until the store or the model changes."""
        return self.serving().maker

    def serving(self) -> "Serving":
        """The same, with the version of the model that it was made from."""
        from kinema.steps import model_watch, slates  # noqa: PLC0415  # the facade starts light

        state = slates.slates_state(self.store, self.artifacts) + rule_versions(self.store)
        if self._serving is None or self._serving[0] != state:
            made_of: dict[str, Any] = {"artifacts": self.artifacts, "settings": self.settings.recommend}
            made_of |= {"store": self.store, "scenarios": current_scenarios(self.store, self.settings.scenarios)}
            made_of |= {"read": lambda schema: self.dataset(profile_schema=schema)}
            self._serving = (state, model_watch.load_serving(**made_of))
        return self._serving[1]

    @property
    def _parts(self) -> dict[str, Any]:  # what steps that read clips are made of
        parts = {"folder": self.folder, "settings": self.settings, "store": self.store}
        return parts | {"media_root": self.media_root, "workers": self.workers}

    def _seed(self, seed: int | None) -> int:
        return self.settings.runtime.seed if seed is None else seed


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
