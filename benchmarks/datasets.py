"""The public sets of the quality table, read in place and split by the protocol each is published with.

Text is encoded once by the packaged encoder and kept under ``build/bench`` (git-ignored): owners forbid redistribution.

Shape suffixes: V items, D width, U users.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.encoders.text import item_text, load_text_encoder
from kinema.sources.blocks import Table
from kinema.sources.named import open_named
from kinema.store.features import ModalityFeatures, Profiles
from kinema.store.given import given
from kinema.store.histories import Histories, pack_histories
from kinema.store.profiles import fit_profiles, transform_profiles
from kinema.store.splits import Split, cold, leave_one_out, temporal

ROOT: Final = Path(__file__).parents[1]
CACHE: Final = ROOT / "build" / "bench"
ENCODER: Final = "packaged:minilm"
COLD_SHARE: Final = 0.1


def data_root() -> Path:
    """Where the sets lie: ``KINEMA_DATA``, or ``shared/data`` beside the repository."""
    return Path(os.environ.get("KINEMA_DATA", ROOT.parent / "shared" / "data"))


@dataclass(frozen=True)
class BenchmarkSet:
    """One set under one protocol.

    Attributes:
        name: As in the table.
        split: Training histories, validation and test cases.
        features: Modality -> vectors.
        profiles: User profiles; None for none.
        metrics: The two of the acceptance row, NDCG first.
        log: The whole log where its time stamps are comparable between users and it is cut at one moment; None elsewhere.
        timed: Time stamps are times, and not only an order.
    """

    name: str
    split: Split
    features: Mapping[str, ModalityFeatures]
    profiles: Profiles | None
    metrics: tuple[str, str] = ("ndcg@10", "recall@10")
    log: Histories | None = None
    timed: bool = False

    @property
    def item_ids(self) -> list[str]:
        """Item numbers as text."""
        return [str(item) for item in range(self.split.train.num_items)]


def beauty() -> BenchmarkSet:
    """Beauty, leave-one-out; titles and categories as text."""
    log, features, profiles = _named("s3-rec", "beauty")
    return BenchmarkSet("beauty", leave_one_out(log), features, profiles)


def beauty_cold() -> BenchmarkSet:
    """Beauty with a tenth of the items never seen in training."""
    log, features, profiles = _named("s3-rec", "beauty")
    return BenchmarkSet("beauty-cold", cold(log, share=COLD_SHARE, seed=0), features, profiles)


def movielens_1m() -> BenchmarkSet:
    """SASRec's file of MovieLens-1M, leave-one-out, time-blind; titles, genres and overviews as text, user profiles."""
    log, features, profiles = _named("movielens-1m", "ml-1m")
    return BenchmarkSet("ml-1m", leave_one_out(log), features, profiles)


def movielens_100k() -> BenchmarkSet:
    """MovieLens-100K, leave-one-out; titles and genres as text, user profiles."""
    log, features, profiles = _named("movielens-100k", "ml-100k")
    return BenchmarkSet("ml-100k", leave_one_out(log), features, profiles, timed=True)


def movielens_100k_temporal() -> BenchmarkSet:
    """MovieLens-100K cut at one moment."""
    log, features, profiles = _named("movielens-100k", "ml-100k")
    return BenchmarkSet("ml-100k-temporal", temporal(log, seed=0), features, profiles, log=log, timed=True)


def tiktok() -> BenchmarkSet:
    """TikTok micro-video with its own train, valid and test files; visual and sound features, no order of events."""
    folder = data_root() / "tiktok_mm"
    parts = {
        name: np.loadtxt(folder / f"{name}.tsv", dtype=np.int64, delimiter="\t") for name in ("train", "valid", "test")
    }
    arrays = {name: np.load(folder / f"{name}_feat.npy").astype(np.float32) for name in ("image", "audio")}
    num_users = 1 + max(int(pairs[:, 0].max()) for pairs in parts.values())
    logs = {
        name: _log(pairs, num_users=num_users, num_items=len(arrays["image"]))
        for name, pairs in parts.items()
    }  # fmt: skip
    features = {
        name: _features(array_VD, source) for name, source, array_VD in
        (("frames", "image_feat", arrays["image"]), ("sound", "audio_feat", arrays["audio"]))
    }  # fmt: skip
    split = given(train=logs["train"], valid=logs["valid"], test=logs["test"])
    return BenchmarkSet("tiktok", split, features, None, ("ndcg@20", "recall@20"))


SETS: Final[dict[str, Callable[[], BenchmarkSet]]] = {
    "beauty": beauty,
    "beauty-cold": beauty_cold,
    "ml-1m": movielens_1m,
    "tiktok": tiktok,
    "ml-100k": movielens_100k,
    "ml-100k-temporal": movielens_100k_temporal,
}


def _log(pairs: NDArray[np.int64], *, num_users: int, num_items: int) -> Histories:
    frame = pl.DataFrame({"user": pairs[:, 0], "item": pairs[:, 1], "timestamp_ms": np.zeros(len(pairs), np.int64)})
    return pack_histories(frame, num_users=num_users, num_items=num_items)


def _features(vectors_VD: NDArray[np.float32], source: str) -> ModalityFeatures:
    present_V = np.abs(vectors_VD).sum(axis=1) > 0
    return ModalityFeatures(source, vectors_VD, present_V, present_V.astype(np.float32), source)


def _named(source: str, folder: str) -> tuple[Histories, dict[str, ModalityFeatures], Profiles | None]:
    """A set that Kinema has a reader for: the same tables that `kinema ingest --source` writes to the store."""
    tables = {one.kind: _frame(one) for one in open_named(source, data_root() / folder)}
    events = tables["event"]
    # Items that nobody ever watched are no candidates in the published tables of these sets.
    items = tables["item"].join(
        events.select(pl.col("item").alias("id")).unique(), on="id", how="semi", maintain_order="left"
    )
    users = tables.get("user", events.select(pl.col("user").alias("id")).unique(maintain_order=True))
    numbers = {name: frame["id"].to_list() for name, frame in (("user", users), ("item", items))}
    places = {name: {one: place for place, one in enumerate(ids)} for name, ids in numbers.items()}
    numbered = events.with_columns(
        *(pl.col(name).replace_strict(places[name], return_dtype=pl.Int64) for name in places)
    )
    log = pack_histories(
        numbered.select("user", "item", "timestamp_ms"), num_users=len(numbers["user"]), num_items=len(numbers["item"])
    )
    texts = [item_text(row) for row in items.iter_rows(named=True)]
    profiles = None
    if "attributes" in users.columns:
        numbered_users = users.with_row_index("num").with_columns(pl.col("num").cast(pl.Int64))
        found = transform_profiles(numbered_users, fit_profiles(numbered_users))
        profiles = found if found.columns else None
    return log, {"text": _encoded(folder, texts)}, profiles


def _frame(table: Table) -> pl.DataFrame:
    return pl.concat([block.frame for block in table.read(0, 0)], how="diagonal_relaxed")


def _encoded(name: str, texts: list[str]) -> ModalityFeatures:
    """Vectors of the packaged text encoder, computed once."""
    path = CACHE / f"{name}-text.npz"
    if path.is_file():
        kept = np.load(path)
        if len(kept["vectors_VD"]) == len(texts):
            return ModalityFeatures("text", kept["vectors_VD"], kept["present_V"], kept["quality_V"], ENCODER)
    present_V = np.array([bool(text) for text in texts])
    vectors_VD: NDArray[Any] = load_text_encoder(ENCODER).encode(texts) * present_V[:, None]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, vectors_VD=vectors_VD, present_V=present_V, quality_V=present_V.astype(np.float32))
    return _encoded(name, texts)
