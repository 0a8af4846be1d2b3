"""`kinema finetune TASK` and `kinema predict TASK`: a line per task, whose commands are in `kinema.cli.tasks`."""

from typing import Final

import click

from kinema.cli.lazy import LazyCommands, LazyGroup

TASKS: Final[LazyCommands] = {
    "click": ("kinema.cli.tasks.click", "finetune", "The probability of a click, from a log or from any table."),
    "engagement": ("kinema.cli.tasks.engagement", "finetune", "Clicks, likes, shares and watch time together."),
    "rating": ("kinema.cli.tasks.rating", "finetune", "What a user would rate, with an interval."),
    "rerank": ("kinema.cli.tasks.rerank", "finetune", "A better order of what a search finds, by reading it again."),
    "text": ("kinema.cli.tasks.text", "finetune", "The label of a text or of a pair of texts, from any table."),
}

PREDICTIONS: Final[LazyCommands] = {
    "click": ("kinema.cli.tasks.click", "predict", "A table with the probability of a click."),
    "text": ("kinema.cli.tasks.text", "predict", "A table with the label of each text and its probability."),
}


@click.group(cls=LazyGroup, commands_by_name=TASKS, context_settings={"help_option_names": ["-h", "--help"]})
def finetune() -> None:
    """Learn one task, from a project's log or from a table of labelled examples.

    \b
    Examples:
      kinema finetune click --project shop
      kinema finetune engagement --project shop
      kinema finetune rating --project shop
      kinema finetune click --train train.csv.gz --valid valid.csv.gz --label clicked --to models/click
      kinema finetune click --train log.parquet --label liked --model dcn --to models/like --json
    """  # noqa: D301  # \b tells click to keep the lines


@click.group(cls=LazyGroup, commands_by_name=PREDICTIONS, context_settings={"help_option_names": ["-h", "--help"]})
def predict() -> None:
    """Apply a model of `kinema finetune` to a table.

    \b
    Examples:
      kinema predict click models/click --table new.csv --to scores.csv
      kinema predict click models/click --table new.parquet --to scores.parquet --json
    """  # noqa: D301  # \b tells click to keep the lines
