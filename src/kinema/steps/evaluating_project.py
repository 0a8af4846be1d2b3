"""`kinema evaluate` on a project: its log under a protocol, its settings, and the truth of a generated log."""

from kinema.progress import Progress, silent
from kinema.steps.evaluating import EvaluationReport, evaluate_split, split_for
from kinema.steps.ingest_project import TRUTH
from kinema.steps.open_project import OpenProject
from kinema.steps.truth import load_oracle


def evaluate_project(
    project: OpenProject,
    protocol: str,
    *,
    seed: int,
    quick: bool,
    command: str | None,
    progress: Progress = silent,
) -> EvaluationReport:
    """Measure FLM against baselines on a project's data.

    Args:
        project: With a log; the right answers of a generated one are used where they are known.
        protocol: ``leave-one-out``, ``temporal`` or ``cold``.
        seed: Of every draw.
        quick: Leave out the models trained for comparison.
        command: What the user typed, for the report.
        progress: Told each step.

    Raises:
        ConfigError: There is no such protocol.
        DataError: The log is too small for it.
    """
    dataset, settings = project.dataset(), project.settings
    truth = project.store.meta(TRUTH)
    oracle = load_oracle(project.folder / truth, dataset) if truth else None
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
        folder=project.artifacts / "evaluation" / protocol,
        command=command or f"kinema evaluate --protocol {protocol}",
        seed=seed,
        oracle=oracle,
        quick=quick,
        num_resamples=chosen.bootstrap_samples,
        progress=progress,
    )
