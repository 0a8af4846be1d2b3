"""Groups of commands whose modules are imported only when one is used, so that `--help` answers at once."""

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, TypeAlias

import click

LazyCommands: TypeAlias = Mapping[str, tuple[str, str, str]]
"""Name of a command -> its module, its name there, one line of help."""


class LazyGroup(click.Group):
    """A group that knows its commands by name only.

    Args:
        commands_by_name: Name -> module, its name there, one line of help.
    """

    def __init__(self, *args: Any, commands_by_name: LazyCommands, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands_by_name = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        del ctx
        return list(self.commands_by_name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command.

        Raises:
            UsageError: There is none of this name; the message has the nearest.
        """
        known = self.commands_by_name
        if cmd_name not in known:
            close = difflib.get_close_matches(cmd_name, known, n=1)
            hint = f", did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"
            raise click.UsageError(f"No such command '{cmd_name}'{hint}", ctx)
        module, name, _ = known[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A line for each, without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in self.commands_by_name.items()])
