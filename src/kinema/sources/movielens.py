"""MovieLens-100K and -1M, from the folders GroupLens publishes.

Release dates go to the attributes, not to ``published_at``: that is when an item became available to users, and some of
these films were rated in previews before their release.

Source: Harper and Konstan, The MovieLens Datasets, ACM TiiS 2015.
"""

import csv
import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from kinema.artifacts import fingerprint, sha256_file
from kinema.errors import DataError
from kinema.schema import EventKind, Reject
from kinema.sources.blocks import Table, frame_table
from kinema.sources.tables import open_table

_AGES: Final = {
    "1": "under 18",
    "18": "18-24",
    "25": "25-34",
    "35": "35-44",
    "45": "45-49",
    "50": "50-55",
    "56": "56+",
}
_OCCUPATIONS: Final = (
    "other",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
)


def movielens_100k(folder: Path) -> list[Table]:
    """Films, users and ratings of MovieLens-100K.

    Args:
        folder: Holds ``u.data``, ``u.item``, ``u.user`` and ``u.genre``.

    Returns:
        Items, users and events; the arrival order of the events is the row order of ``u.data``.

    Raises:
        DataError: A file is missing.
    """
    item_file, user_file, genre_file, data_file = _files(folder, "u.item", "u.user", "u.genre", "u.data")
    genres = [line.split("|")[0] for line in genre_file.read_text(encoding="latin-1").splitlines() if line.strip()]
    items = []
    for row in _split(item_file, "|", 5 + len(genres)):
        marked = [genre for genre, mark in zip(genres, row[5:], strict=True) if mark == "1" and genre != "unknown"]
        items.append(_film(row[0], row[1], marked, {"release_date": _iso_date(row[2])}))
    users = [
        _user(row[0], {"age": int(row[1]), "gender": row[2], "occupation": row[3], "zip": row[4]})
        for row in _split(user_file, "|", 5)
    ]
    return [
        _table("item", item_file, items),
        _table("user", user_file, users),
        open_table(data_file, kind="event", header=("user", "item", "rating", "timestamp"), delimiter="\t"),
    ]


def movielens_1m(folder: Path) -> list[Table]:
    """Films, users and ratings of MovieLens-1M.

    Args:
        folder: Holds ``movies.dat``, ``users.dat`` and ``ratings.dat``, or in its place
            ``ml1m_ratings_no_timestamp.npz`` (user, movie, rating, and sasrec_pos, the place in the user's sequence); then
            that place stands for the time. ``movie_texts.tsv.gz``, where there is one, gives the descriptions (its
            column tmdb_overview).

    Returns:
        Items, users and events.

    Raises:
        DataError: A file is missing.
    """
    item_file, user_file = _files(folder, "movies.dat", "users.dat")
    overviews = _overviews(folder / "movie_texts.tsv.gz")
    items = [
        _film(row[0], row[1], row[2].split("|"), {}, description=overviews.get(row[0], ""))
        for row in _split(item_file, "::", 3)
    ]
    users = [
        _user(row[0], {"gender": row[1], "age": _AGES[row[2]], "occupation": _OCCUPATIONS[int(row[3])], "zip": row[4]})
        for row in _split(user_file, "::", 5)
    ]
    return [_table("item", item_file, items), _table("user", user_file, users), _ratings_1m(folder)]


def _ratings_1m(folder: Path) -> Table:
    places, standard = folder / "ml1m_ratings_no_timestamp.npz", folder / "ratings.dat"
    if standard.is_file():
        rows = _split(standard, "::", 4)
        frame = pl.DataFrame(rows, schema=["user", "item", "value", "timestamp_ms"], orient="row").with_columns(
            pl.col("value").cast(pl.Float64), pl.col("timestamp_ms").cast(pl.Int64) * 1000
        )
        return _rating_table(standard, frame)
    if not places.is_file():
        raise DataError(f"'{folder}' must have ratings.dat or {places.name}, has neither; download ml-1m.zip again")
    with np.load(places) as arrays:
        frame = pl.DataFrame(
            {
                "user": pl.Series(arrays["user"]).cast(pl.String),
                "item": pl.Series(arrays["movie"]).cast(pl.String),
                "value": arrays["rating"].astype(np.float64),
                "timestamp_ms": arrays["sasrec_pos"].astype(np.int64),
            }
        )
    return _rating_table(places, frame)


def _rating_table(file: Path, frame: pl.DataFrame) -> Table:
    rows = frame.with_columns(
        row=pl.int_range(1, frame.height + 1, dtype=pl.Int64), kind=pl.lit(EventKind.RATING.value)
    )
    lost = rows.filter(pl.col("timestamp_ms") < 0)
    reason = "rating must have a place in its user's sequence, has none"
    rejects = tuple(
        Reject("event", str(file), row, reason, f"user {user}, item {item}")
        for row, user, item in lost.select("row", "user", "item").rows()
    )
    good = rows.filter(pl.col("timestamp_ms") >= 0)
    return frame_table(kind="event", file=str(file), key=_key(file), frame=good, rejects=rejects)


def _files(folder: Path, *names: str) -> list[Path]:
    for name in names:
        if not (folder / name).is_file():
            raise DataError(f"'{folder}' must hold {', '.join(names)}, '{name}' is missing; unpack the archive again")
    return [folder / name for name in names]


def _split(file: Path, separator: str, width: int) -> list[list[str]]:
    rows = [line.split(separator) for line in file.read_text(encoding="latin-1").splitlines() if line.strip()]
    for place, row in enumerate(rows, 1):
        if len(row) != width:
            raise DataError(f"'{file}' line {place} must have {width} fields, has {len(row)}; unpack the archive again")
    return rows


def _film(
    its_id: str, title: str, genres: Sequence[str], attributes: dict[str, Any], description: str = ""
) -> dict[str, Any]:
    """An item; ``Matrix, The (1999)`` becomes ``The Matrix (1999)``, which is what text encoders have read."""
    match = re.fullmatch(r"(.*), (The|A|An|Les|Le|La|Il|Das|Der|Die|El)((?: \(.*\))?)", title.strip())
    year = re.search(r"\((\d{4})\)$", title.strip())
    kept = {name: value for name, value in attributes.items() if value} | ({"year": int(year[1])} if year else {})
    return {
        "id": its_id,
        "title": f"{match[2]} {match[1]}{match[3]}" if match else title.strip(),
        "description": description,
        "categories": list(genres),
        "attributes": json.dumps(kept),
    }


def _user(its_id: str, attributes: dict[str, Any]) -> dict[str, Any]:
    return {"id": its_id, "attributes": json.dumps(attributes)}


def _iso_date(text: str) -> str:
    """``01-Jan-1995`` as ``1995-01-01``; month names must not depend on the machine's language."""
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    match = re.fullmatch(r"(\d{1,2})-([A-Z][a-z]{2})-(\d{4})", text)
    return f"{match[3]}-{months.index(match[2]) + 1:02d}-{int(match[1]):02d}" if match and match[2] in months else ""


def _overviews(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row["movie_id"]: (row["tmdb_overview"] or "").strip() for row in rows}


def _table(kind: str, file: Path, rows: list[dict[str, Any]]) -> Table:
    frame = pl.DataFrame(rows).with_columns(row=pl.int_range(1, len(rows) + 1, dtype=pl.Int64))
    return frame_table(kind=kind, file=str(file), key=_key(file), frame=frame)


def _key(file: Path) -> str:
    return fingerprint([sha256_file(file), "movielens"])
