"""`kinema finetune match` and `kinema predict match`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console

from kinema.cli.learning import learning_options, project_around
from kinema.cli.output import FILE, FOLDER, Output, common_options, print_notices, project_option, table

if TYPE_CHECKING:
    from kinema.steps.finetuning_match import MatchReport
    from kinema.steps.finetuning_options import Asked

_SETTINGS = {"texts": ("search", "matcher"), "items": ("recommend", "matcher")}


@click.command()
@click.option(
    "--what",
    type=click.Choice(["texts", "items"]),
    default="texts",
    show_default=True,
    help="Words and the items that answer them; or items and the items that follow them.",
)
@click.option("--pairs", type=FILE, help="Table with columns query and item, perhaps weight or label (0 or 1).")
@click.option(
    "--learn",
    type=click.Choice(["frozen", "top", "lora"]),
    default="frozen",
    show_default=True,
    help="What of the text encoder learns beside the maps, for queries alone.",
)
@click.option("--rank", type=click.IntRange(1, 512), default=8, show_default=True, help="Of lora.")
@click.option("--layers", type=click.IntRange(1), default=2, show_default=True, help="Of top.")
@click.option("--use", is_flag=True, help="If it is better on held-out queries, write the line into kinema.toml.")
@learning_options
@project_option
@common_options
def finetune(
    output: Output,
    *,
    folder: Path | None,
    what: str,
    pairs: Path | None,
    learn: Literal["frozen", "top", "lora"],
    rank: int,
    layers: int,
    use: bool,
    asked: "Asked",
) -> None:
    """Learn which items answer which words, or which items follow which.

    Words come from --pairs; else from the log, where the context of an event says what was searched for, as {"query": "otters"}; else
    parts of the items' own texts stand for queries. Items are known by their content, so that new ones are found too: a tenth of the
    items is kept out of all pairs and asked about apart.

    \b
    Examples:
      kinema finetune match --pairs searches.csv --use
      kinema finetune match --learn lora --epochs 5 --json
      kinema finetune match --what items --use --set network.directions=32
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    if what == "items" and (pairs is not None or learn != "frozen"):
        raise click.UsageError("--pairs and --learn are for --what texts; items are matched by the sessions of the log")
    with Project.find(folder) as project, output.progress("finetune match") as progress:
        learning = asked.options(progress)
        if what == "texts":
            how: dict[str, Any] = {"learn": learn, "layers": layers, "rank": rank}
            report = project.finetune.match(pairs, **how, use=use, **learning)
        else:
            report = project.finetune.match_items(use=use, **learning)
    used = use and report.better
    output.show({"report": report, "in_use": used}, lambda console: _people(console, report, in_use=used))


def _people(console: Console, report: "MatchReport", *, in_use: bool) -> None:
    rows: list[list[Any]] = [
        [way, kind, *(values[name] for name in ("recall@10", "ndcg@10", "mrr")), int(values["cases"])]
        for way, kinds in report.metrics.items()
        for kind, values in kinds.items()
    ]
    heads = ["way", "items", "Recall@10", "NDCG@10", "MRR", "queries"]
    console.print(table("on held-out queries", heads, rows))
    console.print(f"candidates: {report.candidates}", markup=False)
    console.print(
        f"{report.num_pairs['all']:,} pairs from {report.source}, {report.num_pairs['train']:,} learnt from; held out: {report.held_out}",
        markup=False,
    )
    print_notices(console, report.notices)
    print_verdict(console, report, setting=_SETTINGS[report.what], in_use=in_use)


def print_verdict(console: Console, report: Any, *, setting: tuple[str, str], in_use: bool) -> None:
    """Whether it is better than today, and how it is taken up."""
    gain, low, high = report.gain
    console.print(
        f"NDCG@10 on validation against {getattr(report, 'baseline', 'mean frame')}: {gain:+.4f} "
        f"(95 % interval {low:+.4f} to {high:+.4f}); best after epoch {report.best_epoch} of {report.epochs}, {report.seconds:.1f} s",
        markup=False,
    )
    section, key = setting
    if in_use:
        console.print(f"better: kinema.toml now has, under [{section}]: {key} = true", markup=False)
    elif report.better:
        console.print(
            f"better: to use it, write under [{section}] in kinema.toml: {key} = true, or use --use", markup=False
        )
    else:
        console.print("not better beyond what chance explains: it is kept, but nothing uses it", markup=False)
    console.print(f"model: {report.folder}", markup=False)


@click.command()
@click.argument("model", type=FOLDER)
@click.option("--table", "rows", type=FILE, required=True, help="With a column query, or item for a model of items.")
@click.option("--to", type=FILE, required=True, help="Where the answers go: CSV, .jsonl or .parquet.")
@click.option("-n", "--num-items", type=click.IntRange(1, 1000), default=10, show_default=True, help="Per query.")
@project_option
@common_options
def predict(output: Output, *, folder: Path | None, model: Path, rows: Path, to: Path, num_items: int) -> None:
    """The best items of a project for each query of a table.

    The project is the one that is named, or else the one the model lies in, or the one that you stand in.

    \b
    Examples:
      kinema predict match shop/artifacts/match/texts --table queries.csv --to answers.csv -n 20
      kinema predict match shop/artifacts/match/items --table watched.csv --to next.parquet
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    from kinema.project import Project  # noqa: PLC0415  # as above
    from kinema.steps.predicting_match import load_matcher, predict_match  # noqa: PLC0415  # as above

    found = load_matcher(model)
    with Project.find(folder or project_around(model)) as project:
        num_rows = predict_match(
            model=found,
            table=rows,
            to=to,
            dataset=project.dataset(),
            settings=project.settings,
            folder=project.folder,
            num_items=num_items,
        )
    output.show_written(num_rows, to)
