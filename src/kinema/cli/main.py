"""The command `kinema`: finds the command asked for, and turns errors into one clear line.

Each command's module is imported only when it is used, so that `kinema --help` answers at once.
"""

import difflib
import gc
import importlib
import json
import sys
from typing import Any, Final

import click

from kinema import __version__
from kinema.errors import KinemaError
from kinema.threads import set_thread_policy

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "init": ("kinema.cli.project", "Make a new project folder with its kinema.toml."),
    "ingest": ("kinema.cli.data", "Read videos, items, users and events into the store."),
    "check": ("kinema.cli.data", "Show what is in the store and what was set aside."),
    "extract": ("kinema.cli.model", "Turn media and text into vectors."),
    "duplicates": ("kinema.cli.duplicates", "Find clips that show the same; a slate then shows one of each group."),
    "adapt": ("kinema.cli.adapt", "Let an encoder learn on from the catalogue itself, without labels."),
    "pretrain": ("kinema.cli.model", "Pre-train FLM on the project's histories and vectors."),
    "finetune": ("kinema.cli.finetune", "Learn one task from labelled examples, such as clicks from a table."),
    "predict": ("kinema.cli.finetune", "Apply a fine-tuned model to a table."),
    "delta": ("kinema.cli.delta", "Put what a training from another model has changed on the model, or take it off."),
    "evaluate": ("kinema.cli.model", "Measure FLM against baselines under a protocol."),
    "recommend": ("kinema.cli.slates", "Recommend items to a user."),
    "similar": ("kinema.cli.slates", "Find the items nearest to an item."),
    "search": ("kinema.cli.search", "Find items by words, by a picture or by a clip."),
    "audience": ("kinema.cli.slates", "Find the users who should see an item."),
    "doctor": ("kinema.cli.project", "Show what is installed, what is missing, threads and disk."),
    "town": ("kinema.cli.demo", "Generate a streaming service whose right answers are known."),
    "demo": ("kinema.cli.demo", "Run the whole road on a generated streaming service."),
}


_GARBAGE: Final = (100_000, 20, 100)
"""When Python looks for rings of dead objects. As often as it does by default, a twentieth of a command's start goes into looking
through modules that were just imported."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            close = difflib.get_close_matches(cmd_name, COMMANDS, n=1)
            hint = f", did you mean '{close[0]}'?" if close else f"; known: {', '.join(COMMANDS)}"
            raise click.UsageError(f"No such command '{cmd_name}'{hint}", ctx)
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
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
    finally:
        gc.freeze()  # at its end, the interpreter looks through all that is not frozen for rings: a quarter of a second


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
