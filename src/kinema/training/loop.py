"""The pre-training run: prepare, fit with looks at validation, let validation choose, hand back the model."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import kinema
from kinema.artifacts import fingerprint
from kinema.flm.config import FLMConfig
from kinema.flm.mixture import Mixture
from kinema.flm.model import FLM
from kinema.flm.network import FLMNetwork
from kinema.flm.sharing import Match, carry_items, carry_over, kept_whitenings, match_modalities, theta_fingerprint
from kinema.progress import Progress, silent
from kinema.seeds import derive_seed
from kinema.store.features import ModalityFeatures, Profiles
from kinema.store.histories import Histories
from kinema.store.splits import Cases
from kinema.tasks.pretraining import PretrainingTask
from kinema.training.checkpoint import Place, load_checkpoint, save_checkpoint, snapshot
from kinema.training.loader import EpochPlan, plan_epoch
from kinema.training.negatives import draw_negatives
from kinema.training.optimizer import Optimizer, fading, scheduled
from kinema.training.preparation import Prepared, prepare
from kinema.training.selection import Selection, default_weights
from kinema.training.step import Stepper, dense_parameters, side_by_side


def pretrain(
    *,
    train: Histories,
    valid: Cases | None,
    features: Mapping[str, ModalityFeatures],
    profiles: Profiles | None,
    item_ids: Sequence[str],
    config: FLMConfig,
    seed: int,
    published_ms_V: NDArray[np.int64] | None = None,
    source: FLM | None = None,
    same_items: bool = False,
    checkpoint_folder: Path | None = None,
    checkpoint_seconds: float = 5.0,
    on_look: Callable[[Mapping[str, Any]], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
    progress: Progress = silent,
) -> FLM:
    """Train FLM.

    Args:
        train: Training histories, row = user number.
        valid: Cases to choose the epoch, the gates and the weights of the branches on. None trains ``max_epochs`` and
            takes default weights.
        features: Modality -> features with one row per item.
        profiles: Row = user number; None for none.
        item_ids: Ids of the catalogue in number order.
        config: What is built.
        seed: Every random draw follows from it; the same seed gives the same numbers on one machine.
        published_ms_V: When each item became available; validation leaves out what was not there yet. None where
            nothing is known.
        source: A model of another catalogue to start from: all that belongs to no single item carries over where modality
            and encoder agree. ``config`` must have what `kinema.flm.sharing.inherited` gives.
        same_items: The source is an earlier model of this catalogue, its items are the first of these: their own vectors carry
            over as well.
        checkpoint_folder: Where to keep checkpoints; a run that was interrupted goes on from there and equals an
            uninterrupted one. None keeps none.
        checkpoint_seconds: Time between two checkpoints.
        on_look: Told the new entry of the curve after each look at validation; an error it raises ends the training, so
            that a search can give up on a run.
        clock: Seconds that ``max_seconds`` counts; ``time.process_time`` counts CPU-seconds.
        progress: Told after each epoch.

    Returns:
        The model, with the best epoch on validation.

    Raises:
        DataError: There is nothing to train on, or sizes do not fit.
        ConfigError: Nothing of the source fits.
    """
    match = None if source is None else match_modalities(source, features, same_items=same_items)
    prepared = prepare(
        train=train,
        features=features,
        profiles=profiles,
        item_ids=item_ids,
        config=config,
        seed=seed,
        given=None if source is None or match is None else kept_whitenings(source, match),
    )
    selection = None
    if valid is not None and valid.targets.lengths.any():
        selection = Selection(prepared, config=config, valid=valid, published_ms_V=published_ms_V, seed=seed)
    with torch.random.fork_rng(devices=[]):
        run = replace(_start(prepared, config, seed, selection), on_look=on_look, clock=clock)
        name, origin = run_name(config, seed, prepared, valid), dict[str, Any]()
        if source is not None and match is not None:
            origin = _carry(run.network, source, match, prepared, same_items=same_items)
            name = fingerprint([name, origin])
        place = fit(run, name=name, folder=checkpoint_folder, checkpoint_seconds=checkpoint_seconds, progress=progress)
    if selection is None:
        unfitted = Mixture.from_weights(default_weights(config, prepared))
        mixture, liken, choices = replace(unfitted, cold_bonus=-config.cold_discount), None, dict[str, Any]()
    else:
        mixture, liken, choices = selection.choose(run.network)
    return FLM(
        config=config,
        network=run.network,
        item_ids=tuple(item_ids),
        whitenings=prepared.whitenings,
        encoders=prepared.encoders,
        counts_V=prepared.counts_V,
        popularity_V=prepared.popularity_V,
        memory=prepared.memory,
        mixture=mixture,
        profile_columns=() if prepared.profiles is None else prepared.profiles.columns,
        liken=liken,
        seed=seed,
        report={
            "curve": place.curve,
            "best_epoch": place.best_epoch,
            "epochs": place.epoch,
            "steps": place.total_steps,
            "seconds": round(place.elapsed_seconds, 2),
            **choices,
            **({"transfer": origin} if origin else {}),
        },
    )


def _carry(network: FLMNetwork, source: FLM, match: Match, prepared: Prepared, *, same_items: bool) -> dict[str, Any]:
    """Fill the network from a source; what was carried over, for the report and the name of the run.

    ID vectors of items that the source can read start at zero: random ones would hide what it knows of them.
    """
    columns = carry_over(
        network,
        source,
        kept=match.kept,
        modalities=tuple(prepared.whitenings),
        profile_columns=() if prepared.profiles is None else prepared.profiles.columns,
    )
    read = [place for place, name in enumerate(prepared.whitenings) if name in match.kept]
    known_V = (prepared.content.present_VM[:, read] > 0).any(dim=1)
    network.tower.ids_VD.detach()[known_V[: network.tower.num_ids]] = 0
    origin = {"source": theta_fingerprint(source), **match.as_dict(), "profile_columns": list(columns)}
    return origin | {"items": carry_items(network, source)} if same_items else origin


@dataclass(frozen=True)
class Run:
    """What one training run works on."""

    config: FLMConfig
    seed: int
    train: Histories
    network: FLMNetwork
    task: PretrainingTask
    optimizer: Optimizer
    selection: Selection | None
    chances_V: NDArray[np.float64]
    on_look: Callable[[Mapping[str, Any]], None] | None = None
    clock: Callable[[], float] = time.monotonic


def fit(run: Run, *, name: str, folder: Path | None, checkpoint_seconds: float, progress: Progress) -> Place:
    """Train until validation stops improving, the epochs are done or the time is up.

    Args:
        run: Its network holds the best state afterwards.
        name: Fingerprint that a checkpoint must carry to be used.
        folder: Of the checkpoints; None for none.
        checkpoint_seconds: Time between two checkpoints.
        progress: Told after each epoch.

    Returns:
        Where training ended.
    """
    place, best = Place(), dict[str, Tensor]()
    found = None if folder is None else load_checkpoint(folder, run=name, network=run.network, optimizer=run.optimizer)
    if found is not None:
        place, best = found
    config = run.config
    started, saved = run.clock(), time.monotonic()
    before = place.elapsed_seconds
    while not place.done:
        plan = plan_epoch(
            run.train,
            max_length=config.max_length,
            batch_tokens=config.batch_tokens,
            seed=run.seed,
            epoch=place.epoch,
            timed=config.time_bias != "none",
        )
        with side_by_side(run.network, run.task, num_pieces=config.num_pieces) as stepper:
            while place.step < len(plan) and not place.done:
                _step(run, stepper, place, plan)
                place.elapsed_seconds = before + run.clock() - started
                place.done = 0 < config.max_seconds < place.elapsed_seconds
                if folder is not None and time.monotonic() - saved >= checkpoint_seconds:
                    save_checkpoint(
                        folder, run=name, place=place, network=run.network, best=best, optimizer=run.optimizer
                    )
                    saved = time.monotonic()
        best = _end_epoch(run, place, best, progress)
    if folder is not None:
        save_checkpoint(folder, run=name, place=place, network=run.network, best=best, optimizer=run.optimizer)
    if best:
        run.network.load_state_dict(best)
    return place


def _start(prepared: Prepared, config: FLMConfig, seed: int, selection: Selection | None) -> Run:
    torch.manual_seed(derive_seed(seed, "network"))
    profiles = prepared.profiles
    network = FLMNetwork.reading(
        prepared.whitenings,
        config,
        num_items=prepared.train.num_items,
        profile_width=0 if profiles is None else len(profiles.columns),
    )
    neighbours_VJ, weights_VJ = prepared.neighbours
    task = PretrainingTask(
        config,
        content=prepared.content,
        profiles_UP=None if profiles is None else torch.from_numpy(profiles.values_UP),
        warm_V=torch.from_numpy(prepared.counts_V > 0),
        neighbours_VJ=torch.from_numpy(neighbours_VJ),
        neighbour_weights_VJ=torch.from_numpy(weights_VJ),
    )
    optimizer = Optimizer(network, dense=dense_parameters(network), weight_decay=config.weight_decay)
    chances_V = prepared.counts_V / max(int(prepared.counts_V.sum()), 1)
    return Run(config, seed, prepared.train, network, task, optimizer, selection, chances_V)


def _step(run: Run, stepper: Stepper, place: Place, plan: EpochPlan) -> None:
    """One step; all its randomness follows from seed, epoch and step, so that any step can be the first of a resume."""
    config = run.config
    negatives = None
    if run.train.num_items > config.full_softmax_items:
        negatives = draw_negatives(
            num_items=run.train.num_items,
            num_negatives=config.num_negatives,
            popular_share=config.popular_negatives,
            chances_V=run.chances_V,
            seed=run.seed,
            epoch=place.epoch,
            step=place.step,
        )
    done = (place.epoch + place.step / len(plan)) / config.max_epochs
    if config.max_seconds:
        done = min(1.0, max(done, place.elapsed_seconds / config.max_seconds))
    found = stepper.gradients(
        plan.batch(place.step),
        negatives,
        num_pieces=config.num_pieces,
        auxiliary=place.total_steps % config.auxiliary_period == 0,
        share=fading(done=done, floor=config.weight_floor),
        seed=derive_seed(run.seed, f"step/{place.epoch}/{place.step}"),
    )
    rate = scheduled(step=place.total_steps, done=done, peak=config.learning_rate, warmup_steps=config.warmup_steps)
    run.optimizer.step(
        found.dense,
        found.rows_R,
        {"ids": found.ids_RD, "bias": found.bias_R},
        learning_rate=rate,
        step=place.total_steps + 1,
    )
    for name, value in found.losses.items():
        place.loss_sums[name] = place.loss_sums.get(name, 0.0) + value
    place.step += 1
    place.total_steps += 1


def _end_epoch(run: Run, place: Place, best: dict[str, Tensor], progress: Progress) -> dict[str, Tensor]:
    """Look at validation when it is time, and decide whether to go on."""
    config = run.config
    losses = {
        name: round(value / max(place.step / (1 if name == "sequential" else config.auxiliary_period), 1), 5)
        for name, value in place.loss_sums.items()
    }
    place.epoch += 1
    place.step = 0
    place.loss_sums = {}
    place.done = place.done or place.epoch >= config.max_epochs
    entry = {"epoch": place.epoch, "seconds": round(place.elapsed_seconds, 2), "losses": losses}
    if run.selection is not None and (place.done or place.epoch % config.evaluate_every == 0):
        found = run.selection.look(run.network)
        entry["validation"] = {name: round(value, 5) for name, value in found.items()}
        if found["with_memory"] > place.best:
            place.best, place.best_epoch, place.waited = found["with_memory"], place.epoch, 0
            best = snapshot(run.network)
        else:
            place.waited += 1
            place.done = place.done or place.waited >= config.patience
    place.curve.append(entry)
    if run.on_look is not None and "validation" in entry:
        run.on_look(entry)
    note = f"loss {losses.get('sequential', 0.0):.3f}" + (f", best NDCG@10 {place.best:.4f}" if place.best >= 0 else "")
    progress(place.epoch, config.max_epochs, note)
    return best


def run_name(config: FLMConfig, seed: int, prepared: Prepared, valid: Cases | None) -> str:
    """Fingerprint of everything that a run's result follows from."""
    digest = hashlib.sha256()
    arrays = [prepared.train.offsets, prepared.train.items, *prepared.content.arrays()]
    if prepared.profiles is not None:
        arrays.append(prepared.profiles.values_UP)
    if valid is not None:
        arrays += [valid.histories.items, valid.targets.items]
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return fingerprint([kinema.__version__, torch.__version__, asdict(config), seed, digest.hexdigest()])
