"""`kinema adapt` on a project: which encoder is meant, what it is judged by, and the line in `kinema.toml`."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from kinema.errors import ConfigError, NotBuiltError
from kinema.extras import is_installed, require
from kinema.progress import Progress, silent
from kinema.settings import FILE_NAME, Settings, load_settings
from kinema.steps.adapting import AdaptOptions, AdaptReport
from kinema.steps.adapting_frames import ClipOptions, adapt_frames
from kinema.steps.adapting_text import adapt_text
from kinema.steps.dataset import read_histories
from kinema.steps.extracting import encoder_place
from kinema.steps.setting_line import write_setting
from kinema.store.protocols import Store


def adapt_project(
    modality: Literal["text", "frames"],
    *,
    folder: Path,
    settings: Settings,
    store: Store,
    media_root: Path | None,
    workers: int,
    encoder: str | None = None,
    use: bool = False,
    seed: int | None = None,
    progress: Progress = silent,
    **options: Any,
) -> AdaptReport:
    """Adapt a project's encoder.

    Args:
        modality: ``text`` or ``frames``.
        folder: Of the project.
        settings: Of the project.
        store: Items and log.
        media_root: Where media paths start.
        workers: Decoding processes.
        encoder: Name or folder; None takes the one in the settings.
        use: Write the adapted encoder into `kinema.toml` if it is kept.
        seed: Overrides the project's.
        progress: Told clips and steps.
        **options: Other fields of `kinema.steps.adapting.AdaptOptions`: ``method``, ``rank``, ``epochs``, ``batch_size``,
            ``learning_rate``, ``max_seconds``.

    Returns:
        The report.

    Raises:
        ConfigError: The modality is switched off, or an option is out of range.
        NotBuiltError: There is no catalogue, or no video.
        DataError: Too little to learn from or to judge by.
        MissingExtraError: LoRA is asked for and peft is not installed.
    """
    name = encoder or getattr(settings.encoders, modality)
    if not name:
        raise ConfigError(f"[encoders] {modality} must name an encoder to adapt, is empty; name one or use --encoder")
    if options.get("method", "lora") == "lora" and not is_installed("peft"):
        require("peft")
    chosen = settings.runtime.seed if seed is None else seed
    parts: dict[str, Any] = {
        "store": store,
        "histories": read_histories(store, kinds=settings.histories.kinds),
        "encoder": name,
        "place": encoder_place(name, folder),
        "root": folder / "artifacts" / "encoders",
        "options": AdaptOptions(**options, seed=chosen),
        "device": settings.runtime.device,
        "progress": progress,
    }
    if modality == "text":
        report = adapt_text(**parts)
    else:
        if media_root is None:
            raise NotBuiltError("no item has a clip to learn from; run: kinema ingest --videos FOLDER")
        limits = settings.limits
        clips = ClipOptions(
            media_root,
            limits.max_clip_seconds,
            limits.max_clip_pixels,
            workers,
            timeout_s=limits.decode_seconds,
            memory_mb=limits.clip_memory_mb,
        )
        report = adapt_frames(**parts, text_place=encoder_place(settings.encoders.text, folder), clips=clips)
    return _use(report, folder) if use and report.folder is not None else report


def _use(report: AdaptReport, folder: Path) -> AdaptReport:
    """Write the line, and look whether it takes effect: an environment variable may stand over it."""
    assert report.folder is not None
    value = report.folder.relative_to(folder).as_posix()
    write_setting(folder / FILE_NAME, section="encoders", key=report.modality, value=value)
    taken = getattr(load_settings(folder / FILE_NAME).encoders, report.modality)
    if taken != value:
        raise ConfigError(
            f"[encoders] {report.modality} is now '{value}' in {FILE_NAME}, but KINEMA_ENCODERS__{report.modality.upper()} "
            f"sets '{taken}'; unset it"
        )
    return replace(report, in_use=True)
