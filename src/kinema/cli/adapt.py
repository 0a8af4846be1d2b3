"""`kinema adapt text` and `kinema adapt frames`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, facts_table, project_option

if TYPE_CHECKING:
    from kinema.steps.adapting import AdaptReport


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def adapt() -> None:
    """Let an encoder learn on from the catalogue itself, without labels.

    A tenth of the items is held out; the adapted encoder is kept only if it does better on them than before, beyond what
    chance explains. Otherwise nothing changes.

    \b
    Examples:
      kinema adapt text
      kinema adapt frames --epochs 5 --use
      kinema adapt text --method full --encoder google-bert/bert-base-uncased --json
    """  # noqa: D301  # \b tells click to keep the lines


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of both commands."""
    for option in reversed(
        (
            click.option("--encoder", help="Packaged name, hub name or folder. Default: the one in kinema.toml."),
            click.option(
                "--method",
                type=click.Choice(["lora", "full"]),
                default="lora",
                show_default=True,
                help="Train small adapters (LoRA), or all weights.",
            ),
            click.option("--rank", type=click.IntRange(1, 512), default=8, show_default=True, help="Of LoRA."),
            click.option(
                "--epochs", type=click.IntRange(1), default=3, show_default=True, help="Passes over the items."
            ),
            click.option("--batch-size", type=click.IntRange(2), default=16, show_default=True, help="Items per step."),
            click.option("--learning-rate", type=float, help="Peak step size. Default: 3e-4 for lora, 3e-5 for full."),
            click.option("--max-seconds", type=float, help="Stop training after this time."),
            click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Overrides [runtime] seed."),
            click.option("--use", is_flag=True, help="If it is kept, write the line into kinema.toml."),
            project_option,
            common_options,
        )
    ):
        command = option(command)
    return command


@adapt.command()
@_options
def text(output: Output, **options: Any) -> None:
    """Continue the text encoder on titles and descriptions: masked tokens, and next sentence where it has that head.

    Judged by whether the nearest items by text are those that are watched together; without a log, by whether titles find
    their descriptions. A run that was killed goes on and ends with the same numbers.

    \b
    Example:
      kinema adapt text --epochs 5 --use
    """  # noqa: D301  # \b tells click to keep the lines
    _run("text", output, **options)


@adapt.command()
@_options
def frames(output: Output, **options: Any) -> None:
    """Match frames with titles: a CLIP-like checkpoint by its own two towers, any other against the text encoder.

    Judged by whether the nearest items by frames are those that are watched together; without a log, those that are
    nearest by text. A run that was killed goes on and ends with the same numbers.

    \b
    Example:
      kinema adapt frames --epochs 5 --use
    """  # noqa: D301  # \b tells click to keep the lines
    _run("frames", output, **options)


def _run(modality: Literal["text", "frames"], output: Output, *, folder: Path | None, **options: Any) -> None:
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress(f"adapt {modality}") as progress:
        report = project.adapt(modality, **options, progress=progress)
    output.show(report, lambda console: _people(console, report))


def _people(console: Console, report: "AdaptReport") -> None:
    facts = dict(report.facts)
    losses = [", ".join(f"{name} {value:.3f}" for name, value in one["losses"].items()) for one in report.curve]
    if losses:
        facts["loss"] = losses[0] if len(losses) == 1 else f"{losses[0]} -> {losses[-1]}"
    console.print(facts_table(f"{report.modality} encoder {report.encoder}", facts))
    console.print(f"{report.probe}? On {report.num_cases} held-out items:", markup=False)
    console.print(
        f"  before {report.before:.4f}, after {report.after:.4f}, difference {report.gain:+.4f} "
        f"(95 % interval {report.gain_low:+.4f} to {report.gain_high:+.4f})",
        markup=False,
    )
    if not report.kept:
        console.print("not kept: the interval reaches down to 0; nothing in the project has changed")
        return
    console.print(f"kept in {report.folder}{', as before' if report.reused else ''}", markup=False)
    if report.in_use:
        console.print(f"kinema.toml now has, under [encoders]: {report.setting}", markup=False)
        console.print("next: kinema extract, which encodes again by itself, then kinema pretrain")
    else:
        console.print(f"to use it, write under [encoders] in kinema.toml: {report.setting}", markup=False)
        console.print("or run the same command with --use; then: kinema extract, kinema pretrain")
