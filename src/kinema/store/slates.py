"""Writing and reading the ``slates`` table."""

import json
from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, desc, select

from kinema.store.dialect import insert_few
from kinema.store.service_protocols import LoggedSlate
from kinema.store.tables import SLATES
from kinema.store.text_json import read_list, read_object
from kinema.store.vocabulary import check_length

_TEXTS: Final = ("id", "user", "timestamp_ms", "scenario", "variant", "model_version")
_SCHEMA: Final[dict[str, Any]] = {name: pl.Int64 if name == "timestamp_ms" else pl.String for name in _TEXTS} | {
    "items": pl.String,
    "propensities": pl.String,
    "context": pl.String,
}


def write_slates(connection: Connection, slates: Sequence[LoggedSlate]) -> None:
    """Log slates; one whose id is logged already is left as it is."""
    insert_few(connection, SLATES, [slate_row(one) for one in slates])


def slate_row(slate: LoggedSlate) -> dict[str, Any]:
    """A slate as it is kept.

    Raises:
        DataError: Its id, its user's or its scenario is empty or too long.
    """
    for text, of in ((slate.id, "slate"), (slate.scenario, "scenario"), (slate.user or "-", "user")):
        check_length(text, of=of)
    return {
        "id": slate.id,
        "user": slate.user or None,
        "timestamp_ms": slate.timestamp_ms,
        "scenario": slate.scenario,
        "variant": slate.variant or None,
        "model_version": slate.model_version or None,
        "items": _json(slate.items),
        "propensities": _json(slate.propensities),
        "context": _json(slate.context) if slate.context else None,
    }


def read_slate(connection: Connection, slate_id: str) -> LoggedSlate | None:
    """One slate."""
    row = connection.execute(select(SLATES).where(SLATES.c.id == slate_id)).one_or_none()
    return None if row is None else _as_slate(row)


def read_user_slates(connection: Connection, user_id: str, *, limit: int) -> list[LoggedSlate]:
    """The newest slates of one user, oldest first."""
    newest = desc(SLATES.c.timestamp_ms), desc(SLATES.c.num)
    rows = connection.execute(select(SLATES).where(SLATES.c.user == user_id).order_by(*newest).limit(limit)).all()
    return [_as_slate(row) for row in reversed(rows)]


def read_slates(connection: Connection, *, since_ms: int, scenario: str | None) -> pl.DataFrame:
    """Slates from a moment on, oldest first; see `kinema.store.service_protocols.ServiceStore.slates`."""
    names = [*_TEXTS, "items", "propensities"]
    where = [SLATES.c.timestamp_ms >= since_ms]
    if scenario is not None:
        where.append(SLATES.c.scenario == scenario)
    statement = select(*[SLATES.c[name] for name in names]).where(*where).order_by(SLATES.c.timestamp_ms, SLATES.c.num)
    rows = [tuple(row) for row in connection.execute(statement)]
    frame = pl.DataFrame(rows, schema={name: _SCHEMA[name] for name in names}, orient="row")
    return frame.with_columns(
        *[pl.col(name).fill_null("") for name in ("user", "variant", "model_version")],
        pl.col("items").str.json_decode(pl.List(pl.String)),
        pl.col("propensities").str.json_decode(pl.List(pl.Float64)),
    )


def _as_slate(row: Any) -> LoggedSlate:
    return LoggedSlate(
        id=row.id,
        user=row.user or "",
        timestamp_ms=row.timestamp_ms,
        scenario=row.scenario,
        variant=row.variant or "",
        model_version=row.model_version or "",
        items=read_list(row.items),
        propensities=tuple(json.loads(row.propensities)),
        context=read_object(row.context),
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
