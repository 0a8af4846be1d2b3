"""`kinema finetune TASK` and `kinema predict TASK`: a line per task, whose commands are in `kinema.cli.tasks`."""

from typing import Final

import click

from kinema.cli.lazy import LazyCommands, LazyGroup

TASKS: Final[LazyCommands] = {
    "click": ("kinema.cli.tasks.click", "finetune", "The probability of a click, from a log or from any table."),
    "engagement": ("kinema.cli.tasks.engagement", "finetune", "Clicks, likes, shares and watch time together."),
    "next": (
        "kinema.cli.tasks.next",
        "finetune",
        "What comes next: a pre-trained FLM learns on, on another catalogue.",
    ),
    "rating": ("kinema.cli.tasks.rating", "finetune", "What a user would rate, with an interval."),
    "clips": ("kinema.cli.tasks.clips", "finetune", "The class of a clip, such as its action, by frames and motion."),
    "match": (
        "kinema.cli.tasks.match",
        "finetune",
        "Words and the items that answer them; items and what follows them.",
    ),
    "visual": ("kinema.cli.tasks.visual", "finetune", "The clip that a picture, or another clip, shows."),
    "several": (
        "kinema.cli.tasks.several",
        "finetune",
        "Clicks, ratings and next items in one run with shared parameters.",
    ),
    "rerank": ("kinema.cli.tasks.rerank", "finetune", "A better order of what a search finds, by reading it again."),
    "text": ("kinema.cli.tasks.text", "finetune", "The label of a text or of a pair of texts, from any table."),
}

PREDICTIONS: Final[LazyCommands] = {
    "click": ("kinema.cli.tasks.click", "predict", "A table with the probability of a click."),
    "clips": ("kinema.cli.tasks.clips", "predict", "A table with the class of each clip."),
    "match": ("kinema.cli.tasks.match", "predict", "The best items for each query of a table."),
    "text": ("kinema.cli.tasks.text", "predict", "A table with the label of each text and its probability."),
}


@click.group(cls=LazyGroup, commands_by_name=TASKS, context_settings={"help_option_names": ["-h", "--help"]})
def finetune() -> None:
    """Learn one task, from a project's log or from labelled examples.

    \b
    Examples:
      kinema finetune click --project shop
      kinema finetune engagement --project shop
      kinema finetune rating --project shop
      kinema finetune clips --project shop --column category
      kinema finetune match --pairs searches.csv --use
      kinema finetune visual --use
      kinema finetune click --train train.csv.gz --valid valid.csv.gz --label clicked --to models/click
      kinema finetune click --train log.parquet --label liked --model dcn --to models/like --json
    """  # noqa: D301  # \b tells click to keep the lines


@click.group(cls=LazyGroup, commands_by_name=PREDICTIONS, context_settings={"help_option_names": ["-h", "--help"]})
def predict() -> None:
    """Apply a model of `kinema finetune` to a table or to clips.

    \b
    Examples:
      kinema predict click models/click --table new.csv --to scores.csv
      kinema predict click models/click --table new.parquet --to scores.parquet --json
      kinema predict clips models/actions --clips new/ --to classes.csv
      kinema predict match shop/artifacts/match/texts --table queries.csv --to answers.csv
    """  # noqa: D301  # \b tells click to keep the lines
