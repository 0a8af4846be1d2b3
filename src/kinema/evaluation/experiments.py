"""An experiment read from the log: clicks, likes and watch time of each variant's slates, and what they say.

Events belong to the slate they name. Users are compared, since they were dealt out, not slates.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.evaluation.bootstrap import Interval
from kinema.evaluation.ratios import Difference, Ratio, difference, mismatch
from kinema.notices import Notice
from kinema.schema import EventKind

DAY_MS: Final = 86_400_000
SKEW_MS: Final = 60_000
"""Clocks of devices may go so much behind the service's."""
MEASURES: Final[Mapping[str, tuple[str, str]]] = {
    "click rate": ("clicks", "impressions"),
    "clicks per slate": ("clicks", "slates"),
    "watch seconds per slate": ("watch_seconds", "slates"),
    "watch seconds per user": ("watch_seconds", "users"),
    "likes per slate": ("likes", "slates"),
}
"""What is measured: sum of the first over sum of the second."""
PRIMARY: Final = "click rate"
_FEW_USERS: Final = 30
_ALARM: Final = 0.001


@dataclass(frozen=True)
class VariantResult:
    """What happened in one variant.

    Attributes:
        variant: Its name.
        share: Of the users, as asked for.
        users: Who saw at least one slate; a guest's slate counts as a user of its own.
        slates: Shown.
        impressions: Items in them.
        clicks: Items of them that were clicked, each once.
        likes: Items of them that were liked, each once.
        watch_seconds: Watched of them.
        measures: Name -> value with its 95 % interval.
    """

    variant: str
    share: float
    users: int
    slates: int
    impressions: int
    clicks: int
    likes: int
    watch_seconds: float
    measures: Mapping[str, Interval]


@dataclass(frozen=True)
class Comparison:
    """A variant against the control in one measure, and what may be concluded of it."""

    variant: str
    measure: str
    found: Difference
    conclusion: str


@dataclass(frozen=True)
class ExperimentReport:
    """What an experiment says.

    Attributes:
        scenario: The placement.
        first_ms: Of the slates that count; None without any.
        last_ms: Likewise.
        variants: The control first.
        comparisons: Each variant with the control, measure by measure.
        mismatch_prob: Probability of a split as uneven as this one, if users are dealt out as asked.
        notices: What a person should know before believing it.
    """

    scenario: str
    first_ms: int | None
    last_ms: int | None
    variants: tuple[VariantResult, ...]
    comparisons: tuple[Comparison, ...]
    mismatch_prob: float
    notices: tuple[Notice, ...]


def attributed(slates: pl.DataFrame, events: pl.DataFrame, *, window_ms: int = DAY_MS) -> pl.DataFrame:
    """What was done with each slate.

    Args:
        slates: ``id``, ``user``, ``timestamp_ms``, ``variant``, ``items`` (see `kinema.store.service_protocols`).
        events: ``slate_id``, ``item`` (id), ``kind``, ``timestamp_ms``, ``watch_ms``.
        window_ms: An event counts if it happens so soon after its slate was shown, with an item of that slate.

    Returns:
        One row per slate: ``id``, ``user``, ``timestamp_ms``, ``variant``, ``impressions``, ``clicks``, ``likes``, ``watch_seconds``. The
        user of a guest is the slate itself.
    """
    shown = slates.select("id", "items", shown_ms="timestamp_ms")
    done = (
        events.filter(pl.col("slate_id").is_not_null())
        .join(shown, left_on="slate_id", right_on="id")
        .filter(
            (pl.col("timestamp_ms") >= pl.col("shown_ms") - SKEW_MS)
            & (pl.col("timestamp_ms") <= pl.col("shown_ms") + window_ms)
            & pl.col("items").list.contains(pl.col("item"))
        )
    )
    sums = done.group_by("slate_id").agg(
        clicks=pl.col("item").filter(pl.col("kind") == EventKind.CLICK.value).n_unique(),
        likes=pl.col("item").filter(pl.col("kind") == EventKind.LIKE.value).n_unique(),
        watch_seconds=pl.col("watch_ms").cast(pl.Float64).sum() / 1000,
    )
    numbers = [pl.col(name).fill_null(0).cast(pl.Float64) for name in ("clicks", "likes", "watch_seconds")]
    return slates.join(sums, left_on="id", right_on="slate_id", how="left", maintain_order="left").select(
        "id",
        pl.when(pl.col("user") == "").then(pl.lit("slate ") + pl.col("id")).otherwise(pl.col("user")).alias("user"),
        "timestamp_ms",
        "variant",
        pl.col("items").list.len().cast(pl.Float64).alias("impressions"),
        *numbers,
    )


def read_experiment(
    scenario: str,
    slates: pl.DataFrame,
    events: pl.DataFrame,
    *,
    shares: Mapping[str, float],
    window_ms: int = DAY_MS,
) -> ExperimentReport:
    """Compare the variants of a scenario.

    Users who met several variants, because shares were changed meanwhile, are left out, and slates of no variant.

    Args:
        scenario: Its name.
        slates: See `attributed`.
        events: See `attributed`.
        shares: Variant -> share of the users, the control first.
        window_ms: See `attributed`.

    Returns:
        The report; a variant nobody has met has zeros.
    """
    rows = attributed(slates.filter(pl.col("variant").is_in(list(shares))), events, window_ms=window_ms)
    num_variants = rows.group_by("user").agg(num=pl.col("variant").n_unique())
    several = num_variants.filter(pl.col("num") > 1)["user"]
    rows = rows.filter(~pl.col("user").is_in(several.implode()))
    users = rows.group_by("user", maintain_order=True).agg(
        pl.col("variant").first(),
        pl.len().cast(pl.Float64).alias("slates"),
        pl.col("impressions", "clicks", "likes", "watch_seconds").sum(),
    )
    users = users.with_columns(users=pl.lit(1.0))
    sums = {name: users.filter(pl.col("variant") == name) for name in shares}
    results = tuple(_result(name, share, sums[name]) for name, share in shares.items())
    split = mismatch(np.array([one.users for one in results]), np.array(list(shares.values())))
    ratios = {name: _ratios(frame) for name, frame in sums.items()}
    control, *others = shares
    comparisons = tuple(
        _comparison(name, measure, ratios[name][measure], ratios[control][measure], len(others))
        for name in others
        for measure in MEASURES
    )
    notices = []
    if split < _ALARM:
        counts = ", ".join(f"{one.variant} {one.users} of {one.share:.0%}" for one in results)
        text = f"the split is not what was asked for ({counts}; p = {split:.2g}): do not trust the comparison"
        dealt = {"users": {one.variant: one.users for one in results}, "shares": dict(shares), "prob": split}
        notices.append(Notice("split_wrong", text, dealt))
    if len(several):
        text = f"{len(several)} users met several variants and are left out"
        notices.append(Notice("users_in_several", text, {"count": len(several)}))
    num_guests = int((slates["user"] == "").sum()) if slates.height else 0
    if num_guests:
        text = f"{num_guests} slates of guests: each counts as a user of its own, so intervals are a little narrow"
        notices.append(Notice("guests", text, {"count": num_guests}))
    first, last = (rows["timestamp_ms"].min(), rows["timestamp_ms"].max()) if rows.height else (None, None)
    return ExperimentReport(scenario, _whole(first), _whole(last), results, comparisons, split, tuple(notices))


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _ratios(users: pl.DataFrame) -> dict[str, Ratio]:
    columns: dict[str, NDArray[np.float64]] = {name: users[name].to_numpy() for name in users.columns[2:]}
    return {name: Ratio.of(columns[over], columns[under]) for name, (over, under) in MEASURES.items()}


def _result(name: str, share: float, users: pl.DataFrame) -> VariantResult:
    return VariantResult(
        variant=name,
        share=share,
        users=users.height,
        slates=int(users["slates"].sum()),
        impressions=int(users["impressions"].sum()),
        clicks=int(users["clicks"].sum()),
        likes=int(users["likes"].sum()),
        watch_seconds=float(users["watch_seconds"].sum()),
        measures={measure: ratio.interval() for measure, ratio in _ratios(users).items()},
    )


def _comparison(variant: str, measure: str, one: Ratio, control: Ratio, num_variants: int) -> Comparison:
    told = conclusion(variant, measure, one, control, num_variants)
    return Comparison(variant, measure, difference(one, control), told)


def conclusion(variant: str, measure: str, one: Ratio, control: Ratio, num_variants: int = 1) -> str:
    """What may be concluded, in a sentence. With several variants the p value is multiplied by their number (Bonferroni).

    Example:
        >>> one, control = Ratio(0.12, 0.003, 500), Ratio(0.10, 0.004, 500)
        >>> conclusion("b", "click rate", one, control)
        'b has a higher click rate than the control: +20.0 % (95 %: +10.2 % to +29.8 %), p = 6.8e-05'
    """
    found = difference(one, control)
    few = min(one.num_users, control.num_users)
    if few < _FEW_USERS:
        return f"too early: {few} users in the smaller variant, at least {_FEW_USERS} are needed to say anything"
    if math.isnan(found.p_value) or not control.value:
        return f"nothing can be said about {measure}: it never happened in the control, or the same for everyone"
    p_value = min(1.0, found.p_value * num_variants)
    low, high = found.interval.low / control.value, found.interval.high / control.value
    told = f"{_percent(found.relative)} (95 %: {_percent(low)} to {_percent(high)}), p = {p_value:.2g}"
    if p_value < 0.05:
        which = "a higher" if found.interval.mean > 0 else "a lower"
        return f"{variant} has {which} {measure} than the control: {told}"
    told += f"; one of {_percent(found.detectable / control.value)} would be found four times of five"
    if found.users_needed is not None:
        told += f", this one with about {found.users_needed:,} users; so far there are {one.num_users + control.num_users:,}"
    return f"no difference in {measure} can be told from chance: {told}"


def in_words(report: ExperimentReport) -> str:
    """What may be concluded of an experiment, in a sentence or one for each variant: by `PRIMARY`, unless the split is wrong.

    Args:
        report: Of `read_experiment`.
    """
    if report.mismatch_prob < _ALARM:
        return "Nothing may be concluded: users were not dealt out as asked, so the variants differ in more than their rules."
    told = [one.conclusion for one in report.comparisons if one.measure == PRIMARY]
    return " ".join(f"{one[0].upper()}{one[1:]}." for one in told) or "There is nothing to compare."


def _percent(share: float) -> str:
    return f"{100 * share:+.1f} %"
