"""Lists and objects kept as JSON text in columns."""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl


def read_object(text: str | None) -> Mapping[str, Any]:
    """A JSON object from its text; empty for None.

    Example:
        >>> read_object('{"age": 30}'), read_object(None)
        ({'age': 30}, {})
    """
    return json.loads(text) if text else {}


def read_list(text: str | None) -> tuple[str, ...]:
    """A list of texts from its JSON; empty for None."""
    return tuple(json.loads(text)) if text else ()


def lists_to_json(lists: pl.Series) -> pl.Series:
    """JSON text of each list, null where it is empty or missing.

    Example:
        >>> lists_to_json(pl.Series([["a", "b"], [], None])).to_list()
        ['["a","b"]', None, None]
    """
    frame = pl.DataFrame({"it": lists.cast(pl.List(pl.String))})
    text = pl.struct("it").struct.json_encode().str.slice(len('{"it":')).str.head(-1)
    return frame.select(pl.when(pl.col("it").list.len() > 0).then(text).alias(lists.name)).to_series()


def lists_from_json(texts: pl.Series) -> pl.Series:
    """The inverse of `lists_to_json`; null becomes an empty list.

    Example:
        >>> lists_from_json(pl.Series(['["a","b"]', None])).to_list()
        [['a', 'b'], []]
    """
    return texts.cast(pl.String).fill_null("[]").str.json_decode(pl.List(pl.String))
