"""The commands of `kinema tune`: options that say which examples are those of `kinema finetune`, taken from there."""

from pathlib import Path
from typing import Any

import click

from kinema.cli.output import Output, common_options, project_option
from kinema.cli.searching import nearby_search, project_search, search_options, tell, with_options_of
from kinema.cli.tasks import click as click_commands
from kinema.cli.tasks import clips, match, rerank, several, text
from kinema.cli.tasks import next as next_commands
from kinema.errors import ConfigError


@with_options_of(click_commands.finetune, {"train", "valid", "label", "to", "fields", "min_count"})
@click.command()
@search_options
@project_option
@common_options
def tune_click(
    output: Output,
    *,
    folder: Path | None,
    how: dict[str, Any],
    train: Path | None,
    valid: Path | None,
    label: str | None,
    to: Path | None,
    fields: tuple[str, ...],
    min_count: int,
) -> None:
    """Search for settings of clicks, of a project's log or of the columns of a table.

    A table is the task click_table in kinema.toml; its search is kept beside the model, in TO-tune.

    \b
    Examples:
      kinema tune click --trials 30 --workers 2
      kinema tune click --train train.csv.gz --valid valid.csv.gz --label clicked --to models/click
    """  # noqa: D301  # \b tells click to keep the lines
    if train is None and (valid is not None or to is not None or fields):
        raise ConfigError("--valid, --to and --field must come with --train, the table they belong to; give it")
    with output.progress("tune click") as progress:
        how |= {"progress": progress}
        if train is None:
            with project_search(folder) as tune:
                found = tune.click(label or "click", **how)
        elif to is None:
            raise ConfigError("--train must come with --to, the folder of the model; give one")
        else:
            rows: dict[str, Any] = {"valid": valid, "label": label or "label", "fields": fields, "min_count": min_count}
            found = nearby_search(folder).click_table(train, to, **rows, **how)
    tell(output, found)


@click.command()
@search_options
@project_option
@common_options
def tune_engagement(output: Output, *, folder: Path | None, how: dict[str, Any]) -> None:
    """Search for settings of clicks, likes, shares and watch time of a project's log.

    \b
    Example:
      kinema tune engagement --seconds 3600 --write
    """  # noqa: D301  # \b tells click to keep the lines
    with project_search(folder) as tune, output.progress("tune engagement") as progress:
        found = tune.engagement(**how, progress=progress)
    tell(output, found)


@click.command()
@search_options
@project_option
@common_options
def tune_rating(output: Output, *, folder: Path | None, how: dict[str, Any]) -> None:
    """Search for settings of ratings of a project's log.

    \b
    Example:
      kinema tune rating --set max_epochs=60
    """  # noqa: D301  # \b tells click to keep the lines
    with project_search(folder) as tune, output.progress("tune rating") as progress:
        found = tune.rating(**how, progress=progress)
    tell(output, found)


@with_options_of(next_commands.finetune, {"source", "learn"})
@click.command()
@search_options
@project_option
@common_options
def tune_next(output: Output, *, folder: Path | None, how: dict[str, Any], source: Path | None, learn: str) -> None:
    """Search for settings with which a pre-trained FLM learns on.

    \b
    Examples:
      kinema tune next --from ../other-shop
      kinema tune next --learn lora --set max_epochs=10
    """  # noqa: D301  # \b tells click to keep the lines
    with project_search(folder) as tune, output.progress("tune next") as progress:
        found = tune.next(source, learn=learn, **how, progress=progress)
    tell(output, found)


@with_options_of(clips.finetune, {"table", "column", "key", "pattern", "clips", "to", "min_clips"})
@click.command()
@search_options
@project_option
@common_options
def tune_clips(
    output: Output, *, folder: Path | None, how: dict[str, Any], table: Path | None, clips: Path | None, **asked: Any
) -> None:
    """Search for settings of classes of clips, of a project or of a folder.

    Clips of a folder are read once; the search is kept beside the model, in TO-tune.

    \b
    Examples:
      kinema tune clips --column category
      kinema tune clips --labels labels.csv --column action --set network.inputs=motion
      kinema tune clips --clips UCF-101/ --to models/actions --trials 30
    """  # noqa: D301  # \b tells click to keep the lines
    with output.progress("tune clips") as progress:
        how |= {"progress": progress, "labels": table}
        if clips is None:
            with project_search(folder) as tune:
                found = tune.clips(**asked, **how)
        else:
            found = nearby_search(folder).clips(clips=clips, **asked, **how)
    tell(output, found)


@with_options_of(match.finetune, {"what", "pairs", "learn", "rank", "layers"})
@click.command()
@search_options
@project_option
@common_options
def tune_match(
    output: Output,
    *,
    folder: Path | None,
    how: dict[str, Any],
    what: str,
    pairs: Path | None,
    **choice: Any,
) -> None:
    """Search for settings of words and the items that answer them, or of items and what follows them.

    \b
    Examples:
      kinema tune match --pairs searches.csv
      kinema tune match --what items --seconds 1800 --write
    """  # noqa: D301  # \b tells click to keep the lines
    if what == "items" and (pairs is not None or choice["learn"] != "frozen"):
        raise click.UsageError("--pairs and --learn are for --what texts; items are matched by the sessions of the log")
    with project_search(folder) as tune, output.progress("tune match") as progress:
        how |= {"progress": progress}
        found = tune.match_items(**how) if what == "items" else tune.match(pairs, **choice, **how)
    tell(output, found)


@click.command()
@search_options
@project_option
@common_options
def tune_visual(output: Output, *, folder: Path | None, how: dict[str, Any]) -> None:
    """Search for settings of pictures and the clips they show.

    \b
    Example:
      kinema tune visual --trials 15
    """  # noqa: D301  # \b tells click to keep the lines
    with project_search(folder) as tune, output.progress("tune visual") as progress:
        found = tune.visual(**how, progress=progress)
    tell(output, found)


@with_options_of(several.finetune, {"tasks", "weighting", "weights"})
@click.command()
@search_options
@project_option
@common_options
def tune_several(
    output: Output, *, folder: Path | None, how: dict[str, Any], tasks: str, weighting: Any, weights: str
) -> None:
    """Search for settings of several tasks in one run.

    \b
    Example:
      kinema tune several --tasks click,like,next --trials 30
    """  # noqa: D301  # \b tells click to keep the lines
    names, given = several.named_tasks(tasks), several.given_weights(weights)
    with project_search(folder) as tune, output.progress("tune several") as progress:
        found = tune.several(names, weighting=weighting, weights=given, **how, progress=progress)
    tell(output, found)


_READ = {"encoder", "loss", "num_queries", "negatives", "max_tokens"}


@with_options_of(rerank.finetune, {"pairs", "synonyms", *_READ})
@click.command()
@search_options
@project_option
@common_options
def tune_rerank(
    output: Output,
    *,
    folder: Path | None,
    how: dict[str, Any],
    pairs: Path | None,
    synonyms: Path | None,
    **read: Any,
) -> None:
    """Search for settings with which a re-ranker learns; --set network.method=top says what learns.

    \b
    Examples:
      kinema tune rerank --pairs judged.csv
      kinema tune rerank --queries 300 --trials 10 --set max_epochs=2
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light
    from kinema.steps.finetuning_rerank import RerankTraining  # noqa: PLC0415  # as above

    with Project.find(folder) as project, output.progress("tune rerank") as progress:
        training = RerankTraining(top=project.settings.search.rerank_top, **read)
        found = project.tune.rerank(pairs, synonyms=synonyms, training=training, **how, progress=progress)
    tell(output, found)


_TEXT = {"train", "valid", "text", "pair", "label", "to", "encoder", "head", "augment", "synonyms"}


@with_options_of(text.finetune, {*_TEXT, "back_translate", "there", "back", "max_tokens"})
@click.command()
@search_options
@project_option
@common_options
def tune_text(
    output: Output,
    *,
    folder: Path | None,
    how: dict[str, Any],
    train: Path,
    valid: Path | None,
    text: str,
    pair: str,
    label: str,
    to: Path,
    augment: float,
    synonyms: Path | None,
    back_translate: float,
    there: Path | None,
    back: Path | None,
    **read: Any,
) -> None:
    """Search for settings of labels of texts; --set network.method=top says what learns.

    The search is kept beside the model, in TO-tune.

    \b
    Example:
      kinema tune text --train reviews.csv --text review --label stars --to models/stars
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.steps.finetuning_text import TextTraining  # noqa: PLC0415  # keeps the start of other commands light
    from kinema.steps.text_changes import TextChanges  # noqa: PLC0415  # as above
    from kinema.steps.text_rows import TextColumns  # noqa: PLC0415  # as above

    training = TextTraining(changes=TextChanges(augment, None, back_translate, there, back), **read)
    given: dict[str, Any] = {"valid": valid, "columns": TextColumns(text, pair, label), "synonyms": synonyms}
    with output.progress("tune text") as progress:
        found = nearby_search(folder).text(train, to, **given, training=training, **how, progress=progress)
    tell(output, found)
