"""The command `kinema`: finds the command asked for, and turns errors into one clear line.

Each command's module is imported only when it is used, so that `kinema --help` answers at once.
"""

import errno
import gc
import json
import os
import sys
from typing import Any, Final

import click

from kinema import __version__
from kinema.cli.lazy import LazyCommands, LazyGroup
from kinema.errors import KinemaError
from kinema.threads import set_thread_policy

COMMANDS: Final[LazyCommands] = {
    "init": ("kinema.cli.project", "init", "Make a new project folder with its kinema.toml."),
    "ingest": ("kinema.cli.data", "ingest", "Read videos, items, users and events into the store."),
    "check": ("kinema.cli.data", "check", "Show what is in the store and what was set aside."),
    "extract": ("kinema.cli.model", "extract", "Turn media and text into vectors."),
    "duplicates": (
        "kinema.cli.duplicates",
        "duplicates",
        "Find clips that show the same; a slate then shows one of each group.",
    ),
    "adapt": ("kinema.cli.adapt", "adapt", "Let an encoder learn on from the catalogue itself, without labels."),
    "pretrain": ("kinema.cli.model", "pretrain", "Pre-train FLM on the project's histories and vectors."),
    "finetune": (
        "kinema.cli.finetune",
        "finetune",
        "Learn one task from labelled examples, such as clicks from a table.",
    ),
    "tune": ("kinema.cli.tune", "tune", "Search for the settings with which a task learns best, on validation."),
    "predict": ("kinema.cli.finetune", "predict", "Apply a fine-tuned model to a table."),
    "delta": (
        "kinema.cli.delta",
        "delta",
        "List, merge, apply or remove what was learnt beside networks of others.",
    ),
    "model": ("kinema.cli.models", "model", "List, show, publish and roll back versions of the model."),
    "refresh": ("kinema.cli.refresh", "refresh", "Train on what is new, and publish only if it is no worse."),
    "evaluate": ("kinema.cli.model", "evaluate", "Measure FLM against baselines under a protocol."),
    "recommend": ("kinema.cli.slates", "recommend", "Recommend items to a user."),
    "rank": ("kinema.cli.rank", "rank", "Score given candidates of a user by the ranker that is configured."),
    "similar": ("kinema.cli.slates", "similar", "Find the items nearest to an item."),
    "search": ("kinema.cli.search", "search", "Find items by words, by a picture or by a clip."),
    "audience": ("kinema.cli.slates", "audience", "Find the users who should see an item."),
    "serve": ("kinema.cli.serve", "serve", "Answer recommendations and search over HTTP, and take events in."),
    "keys": ("kinema.cli.keys", "keys", "Make, list and revoke the keys with which programs ask the service."),
    "experiment": ("kinema.cli.experiment", "experiment", "Compare the variants of a scenario that were shown."),
    "doctor": ("kinema.cli.project", "doctor", "Show what is installed, what is missing, threads and disk."),
    "town": ("kinema.cli.demo", "town", "Generate a streaming service whose right answers are known."),
    "demo": ("kinema.cli.demo", "demo", "Run the whole road on a generated streaming service."),
}


_GARBAGE: Final = (100_000, 20, 100)
"""When Python looks for rings of dead objects. As often as it does by default, a twentieth of a command's start goes into looking
through modules that were just imported."""


_FULL: Final = ("No space left on device", "database or disk is full")


@click.group(cls=LazyGroup, commands_by_name=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="kinema")
def main() -> None:
    """Video recommendation on large pre-trained models, on your own machines.

    \b
    Start here:
      kinema demo demo                       a generated service, the whole road, a report
    Your own data:
      kinema init shop
      kinema ingest --videos clips/ --items items.csv --users users.csv --events events.parquet
      kinema extract
      kinema pretrain
      kinema evaluate --protocol temporal
      kinema recommend USER -n 10 --explain

    Every command has --help with an example, and --json for machines.
    """  # noqa: D301  # \b tells click to keep the lines


def run() -> None:
    """Entry point: errors become one line on standard error and an exit code."""
    set_thread_policy()
    gc.set_threshold(*_GARBAGE)
    try:
        main(prog_name="kinema", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _fail("stopped; the same command goes on where it stopped", "Stopped", 130)
    except click.ClickException as error:
        _fail(error.format_message() + _suggest_help(error), "UsageError", error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except KinemaError as error:
        _fail(str(error), type(error).__name__, 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        told = of_this_machine(error)
        if not told:
            raise
        _fail(told, type(error).__name__, 1)
    finally:
        gc.freeze()  # at its end, the interpreter looks through all that is not frozen for rings: a quarter of a second


def of_this_machine(error: Exception) -> str:
    """What the disk or its rights have refused, in one line; empty for everything else, which is a mistake of ours.

    Libraries have errors of their own for a full disk and keep the system's words alone.

    Example:
        >>> of_this_machine(OSError(28, "No space left on device", "store.db"))
        "no space is left on the disk for 'store.db'; make room, then give the same command again: what was finished is kept"
    """
    number, name = (error.errno, error.filename) if isinstance(error, OSError) else (None, None)
    if number in (errno.ENOSPC, errno.EDQUOT) or any(words in str(error) for words in _FULL):
        where = f" for '{name}'" if name else ""
        return f"no space is left on the disk{where}; make room, then give the same command again: what was finished is kept"
    if name and number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"'{name}' must be open to this user, is not: {os.strerror(number)}; change its rights, or name another place"
    return ""


def _suggest_help(error: click.ClickException) -> str:
    context: Any = getattr(error, "ctx", None)
    return f"; see: {context.command_path} --help" if context is not None else ""


def _fail(text: str, kind: str, code: int) -> None:
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": kind, "message": text}))
    click.echo(f"error: {text}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    run()
