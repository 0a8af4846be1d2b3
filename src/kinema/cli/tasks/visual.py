"""`kinema finetune visual`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.learning import learning_options
from kinema.cli.output import Output, common_options, print_notices, project_option, table
from kinema.cli.tasks.match import print_verdict

if TYPE_CHECKING:
    from kinema.steps.finetuning_options import Asked
    from kinema.steps.finetuning_visual import VisualReport


@click.command()
@click.option("--use", is_flag=True, help="If it is better on held-out clips, write the line into kinema.toml.")
@learning_options
@project_option
@common_options
def finetune(output: Output, *, folder: Path | None, use: bool, asked: "Asked") -> None:
    """Learn to find the clip that a picture, or a part of a clip, shows, whatever was done to it.

    Frames of the project's clips, cropped, lit, tinted and compressed, are the questions. Seven tenths of the clips are learnt from;
    the others are asked about, with changes that were trained with and with others.

    \b
    Examples:
      kinema finetune visual
      kinema finetune visual --use --json
      kinema finetune visual --epochs 10 --set network.directions=128
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress("finetune visual") as progress:
        report = project.finetune.visual(use=use, **asked.options(progress))
    used = use and report.better
    output.show({"report": report, "in_use": used}, lambda console: _people(console, report, in_use=used))


def _people(console: Console, report: "VisualReport", *, in_use: bool) -> None:
    rows: list[list[Any]] = [
        [kind, way, *(values[name] for name in ("recall@10", "ndcg@10", "mrr")), int(values["cases"])]
        for kind, ways in report.metrics.items()
        for way, values in ways.items()
    ]
    heads = ["question", "way", "Recall@10", "NDCG@10", "MRR", "questions"]
    console.print(table("on held-out clips", heads, rows))
    clips = ", ".join(f"{name} {count:,}" for name, count in report.num_clips.items())
    console.print(f"candidates: {report.candidates}; clips: {clips}", markup=False)
    print_notices(console, report.notices)
    print_verdict(console, report, setting=("search", "visual"), in_use=in_use)
