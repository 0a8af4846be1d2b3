"""Matching and visual queries by the commands a user types, from training to the answer of a search."""

import json

import polars as pl
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.project import Project
from kinema.steps.finetuning_project import take_up
from tests.tiny_encoders import TOPICS, WORDS, save_bert, save_vit, topic_items, topic_picture
from kinema.testing.clips import write_clip

ITEMS = 48


@pytest.fixture(scope="module", name="shop")
def made_shop(tmp_path_factory):
    """Forty-eight items of six topics with clips in the topic's colour, and sessions that stay with a topic."""
    home = tmp_path_factory.mktemp("matched")
    rows, (home / "clips").mkdir() or topic_items(ITEMS)
    return home
