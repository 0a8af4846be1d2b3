"""Options of commands that let a text encoder learn: which of its parameters do."""

import functools
from collections.abc import Callable
from typing import Any

import click


def choice_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what learns; the command receives ``choice``, settings of `Choice`, None for those that were not given."""

    @click.option(
        "--learn",
        type=click.Choice(["full", "frozen", "top", "lora", "adapters", "prefix"]),
        help="What learns besides the head. Default: lora.",
    )
    @click.option("--layers", type=click.IntRange(1), help="Of top. Default: 2.")
    @click.option("--rank", type=click.IntRange(1, 512), help="Of lora. Default: 8.")
    @functools.wraps(command)
    def wrapped(*args: Any, learn: str | None, layers: int | None, rank: int | None, **kwargs: Any) -> Any:
        method = "adapter" if learn == "adapters" else learn
        return command(*args, choice={"method": method, "layers": layers, "rank": rank}, **kwargs)

    return wrapped
