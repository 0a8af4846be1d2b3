"""`kinema finetune rerank`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.learning import learning_options
from kinema.cli.output import FILE, Output, common_options, print_notices, project_option, table
from kinema.cli.tasks.choice_options import choice_options

if TYPE_CHECKING:
    from kinema.steps.finetuning_options import Asked
    from kinema.steps.finetuning_rerank import RerankReport


@click.command()
@click.option(
    "--pairs", type=FILE, help="Table with query, item and label or grade. Default: the catalogue asks itself."
)
@click.option("--synonyms", type=FILE, help="Table with word and synonyms (a|b), for queries made of the catalogue.")
@click.option(
    "--encoder", default="", help="Packaged name, hub name or folder. Default: the text encoder in kinema.toml."
)
@click.option(
    "--loss",
    type=click.Choice(["listwise", "pointwise"]),
    default="listwise",
    show_default=True,
    help="Softmax over a query's candidates, or cross entropy of each pair.",
)
@click.option("--queries", "num_queries", type=click.IntRange(20), default=600, show_default=True, help="Made at most.")
@click.option("--negatives", type=click.IntRange(1), default=6, show_default=True, help="Wrong candidates per query.")
@click.option(
    "--max-tokens", type=click.IntRange(16), default=128, show_default=True, help="Read of a query with an item."
)
@choice_options
@learning_options
@project_option
@common_options
def finetune(
    output: Output,
    *,
    folder: Path | None,
    pairs: Path | None,
    synonyms: Path | None,
    choice: dict[str, Any],
    asked: "Asked",
    **options: Any,
) -> None:
    """Learn to read a query together with an item's text, and to put the first places of a search in a better order.

    Wrong candidates are what the search finds now. A fifth of the queries is measured on and .15 decide; some items are held
    out as well. How far the second reading counts is chosen where it was not learnt from; 0 where it does not help. Only what
    was learnt is stored.

    \b
    Examples:
      kinema finetune rerank --pairs judged.csv
      kinema finetune rerank --queries 300 --learn top --epochs 5 --json
      kinema finetune rerank --learn adapters --set network.width=16
      kinema finetune rerank --encoder cross-encoder/ms-marco-MiniLM-L6-v2 --pairs judged.csv
    then, in kinema.toml:
      [search]
      reranker = true
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light
    from kinema.steps.finetuning_rerank import RerankTraining  # noqa: PLC0415  # as above
    from kinema.training.text_learning import read_synonyms  # noqa: PLC0415  # as above

    words = None if synonyms is None else read_synonyms(synonyms)
    with Project.find(folder) as project, output.progress("finetune rerank") as progress:
        training = RerankTraining(top=project.settings.search.rerank_top, **options)
        learning = asked.options(progress, **choice)
        report = project.finetune.rerank(pairs, synonyms=words, training=training, **learning)
    output.show(report, lambda console: _people(console, report))


def _people(console: Console, report: "RerankReport") -> None:
    rows = [
        [name, int(one["queries"]), *(one[key] for key in ("ndcg_search", "ndcg", "ndcg_alone", "mrr_search", "mrr"))]
        for name, one in report.metrics.items()
    ]
    heads = ["held-out queries", "queries", "NDCG@10 now", "read again", "reading alone", "MRR now", "read again"]
    console.print(table(f"re-ranker, learnt from {report.learnt_from}", heads, rows))
    low, high = report.gain_interval
    console.print(f"NDCG@10 {report.gain:+.4f} (95 % interval {low:+.4f} to {high:+.4f})", markup=False)
    print_notices(console, report.notices)
    by = report.chosen
    error = "unknown" if by.error is None else f"{by.error:.4f}"
    console.print(
        f"the second reading counts {report.weight:.0%}: {by.best:.0%} was best on {by.queries} other queries (NDCG@10 {by.best_ndcg:.4f}, "
        f"standard error of the gain {error}), and the smallest within one standard error is taken",
        markup=False,
    )
    console.print(
        f"best after epoch {report.best_epoch} of {report.epochs}; {report.delta.num_parameters:,} of {report.num_all:,} numbers stored, "
        f"{report.delta.size_bytes:,} bytes; {report.milliseconds:.0f} processor ms a query; {report.seconds:.1f} s",
        markup=False,
    )
    console.print(f"model: {report.folder}", markup=False)
    if report.helps:
        console.print("next: reranker = true under [search] in kinema.toml", markup=False)
    else:
        console.print("these queries do not show that it helps: leave reranker = false under [search]", markup=False)
