"""`kinema tune TASK`: a line per task, whose commands are in `kinema.cli.tune_tasks`."""

from typing import Final

import click

from kinema.cli.lazy import LazyCommands, LazyGroup

_MODULE: Final = "kinema.cli.tune_tasks"
TASKS: Final[LazyCommands] = {
    "click": (_MODULE, "tune_click", "The probability of a click, from a log or from any table."),
    "engagement": (_MODULE, "tune_engagement", "Clicks, likes, shares and watch time together."),
    "next": (_MODULE, "tune_next", "What comes next: a pre-trained FLM learns on."),
    "rating": (_MODULE, "tune_rating", "What a user would rate."),
    "clips": (_MODULE, "tune_clips", "The class of a clip, by frames and motion."),
    "match": (_MODULE, "tune_match", "Words and the items that answer them; items and what follows them."),
    "visual": (_MODULE, "tune_visual", "The clip that a picture, or another clip, shows."),
    "several": (_MODULE, "tune_several", "Several tasks in one run with shared parameters."),
    "rerank": (_MODULE, "tune_rerank", "A better order of what a search finds."),
    "text": (_MODULE, "tune_text", "The label of a text or of a pair of texts, from any table."),
}


@click.group(cls=LazyGroup, commands_by_name=TASKS, context_settings={"help_option_names": ["-h", "--help"]})
def tune() -> None:
    """Search for the settings with which a task learns best, on validation only.

    What is searched stands in [tune.TASK] of kinema.toml, or is the task's own choice:

    \b
      [tune.click]
      learning_rate = {low = 1e-4, high = 1e-2, log = true}
      batch_size = [256, 1024]
      network.width = [16, 32, 64]

    Trial 0 has the task's own settings. A search that was killed goes on; with more --trials it goes on as well. Found settings are
    printed, or written into [finetune.TASK], which kinema finetune TASK then uses.

    \b
    Examples:
      kinema tune click --trials 30 --workers 2
      kinema tune engagement --seconds 3600 --write
      kinema tune clips --column category --trials 30
      kinema tune match --pairs searches.csv --set max_epochs=20
      kinema tune text --train reviews.csv --text review --label stars --to models/stars
      kinema tune click --train train.csv.gz --valid valid.csv.gz --label clicked --to models/click
    """  # noqa: D301  # \b tells click to keep the lines
