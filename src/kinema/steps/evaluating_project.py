"""`kinema evaluate` on a project: its log under a protocol, its settings, and the truth of a generated log."""

from pathlib import Path

from kinema.progress import Progress, silent
from kinema.settings import Settings
from kinema.steps.dataset import Dataset
from kinema.steps.evaluating import EvaluationReport, evaluate_split, split_for
from kinema.steps.truth import load_oracle


def evaluate_project(
    dataset: Dataset,
    protocol: str,
    *,
    settings: Settings,
    artifacts: Path,
    truth: Path | None,
    seed: int,
    quick: bool,
    command: str | None,
    progress: Progress = silent,
) -> EvaluationReport:
    """Measure FLM against baselines on a project's data.

    Args:
        dataset: The project's.
        protocol: ``leave-one-out``, ``temporal`` or ``cold``.
        settings: The project's.
        artifacts: Folder of its artefacts.
        truth: Folder of the right answers of a generated log; None for a real one.
        seed: Of every draw.
        quick: Leave out the models trained for comparison.
        command: What the user typed, for the report.
        progress: Told each step.

    Raises:
        ConfigError: There is no such protocol.
        DataError: The log is too small for it.
    """
    oracle = None if truth is None else load_oracle(truth, dataset)
    chosen = settings.evaluation
    split = split_for(
        dataset,
        protocol,
        seed=seed,
        test_from_ms=oracle.cutoff_ms if oracle is not None else None,
        test_share=chosen.test_share,
        valid_share=chosen.valid_share,
        cold_share=chosen.cold_share,
    )
    return evaluate_split(
        dataset=dataset,
        split=split,
        changes=settings.flm.model_dump(),
        folder=artifacts / "evaluation" / protocol,
        command=command or f"kinema evaluate --protocol {protocol}",
        seed=seed,
        oracle=oracle,
        quick=quick,
        num_resamples=chosen.bootstrap_samples,
        progress=progress,
    )
