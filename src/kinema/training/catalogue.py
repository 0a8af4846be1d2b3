"""Pre-training on items without events: content terms only, with checkpoints like every training.

Shape suffixes: V catalogue.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

import kinema
from kinema.artifacts import fingerprint
from kinema.errors import DataError
from kinema.flm.config import FLMConfig
from kinema.flm.draws import Draws
from kinema.flm.model import FLM, whitened_content
from kinema.flm.network import FLMNetwork
from kinema.flm.sharing import without_log
from kinema.progress import Progress, silent
from kinema.seeds import derive_seed, generator
from kinema.store.features import ModalityFeatures
from kinema.tasks.cataloguing import CatalogueTask
from kinema.training.checkpoint import Place, load_checkpoint, save_checkpoint, snapshot
from kinema.training.optimizer import Optimizer, scheduled
from kinema.training.preparation import fit_whitenings
from kinema.training.step import dense_parameters

TERMS: Final = ("modalities", "reconstruction")
_LEAST_STEPS: Final = 20
_ITEMS_PER_STEP: Final = 256
_HELD_OUT: Final = 0.1
_FEWEST_HELD_OUT: Final = 16


def pretrain_catalogue(
    *,
    features: Mapping[str, ModalityFeatures],
    item_ids: Sequence[str],
    config: FLMConfig,
    seed: int,
    checkpoint_folder: Path | None = None,
    checkpoint_seconds: float = 5.0,
    progress: Progress = silent,
) -> FLM:
    """Train the content path of FLM on a catalogue that nobody has watched.

    Args:
        features: Modality -> features with one row per item.
        item_ids: Ids of the catalogue in number order.
        config: What is built; IDs and profiles are switched off, since no event speaks for any.
        seed: Every random draw follows from it.
        checkpoint_folder: Where to keep checkpoints; None keeps none.
        checkpoint_seconds: Time between two checkpoints.
        progress: Told after each epoch: a pass over the items, or 20 steps where that is more.

    Returns:
        A model that answers by content: the epoch with the lowest loss on a tenth of the items, held out where that is
        at least 16 items, else the last one.

    Raises:
        DataError: No item has features.
    """
    used = {name: one for name, one in sorted(features.items()) if one.present_V.any()}
    if not used:
        raise DataError("a catalogue must have content to learn from, has none; run: kinema extract")
    config = config.with_changes(use_ids=False, use_profiles=False)
    whitenings = fit_whitenings(used, {name: one.present_V for name, one in used.items()}, config)
    content = whitened_content(used, whitenings, len(item_ids))
    described = torch.nonzero(content.described).squeeze(1).numpy()
    mixed = generator(seed, "catalogue/held-out").permutation(described)
    count = round(_HELD_OUT * len(mixed))
    count = count if count >= _FEWEST_HELD_OUT else 0
    terms = [one for one in TERMS if one in config.content_terms]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "network"))
        network = FLMNetwork.reading(whitenings, config, num_items=len(item_ids), profile_width=0)
        run = _CatalogueRun(
            config,
            seed,
            network,
            CatalogueTask(content, torch.from_numpy(mixed[count:].copy()), terms),
            CatalogueTask(content, torch.from_numpy(mixed[:count].copy()), terms) if count else None,
            Optimizer(network, dense=dense_parameters(network), weight_decay=config.weight_decay),
            max(_LEAST_STEPS, -(-(len(mixed) - count) // _ITEMS_PER_STEP)),
        )
        name = _run_name(config, seed, content.arrays())
        place = _fit(run, name=name, folder=checkpoint_folder, seconds=checkpoint_seconds, progress=progress)
    return without_log(
        config=config,
        network=network.eval(),
        item_ids=item_ids,
        whitenings=whitenings,
        encoders={name: one.encoder for name, one in used.items()},
        seed=seed,
        report={
            "curve": place.curve,
            "best_epoch": place.best_epoch,
            "epochs": place.epoch,
            "steps": place.total_steps,
            "seconds": round(place.elapsed_seconds, 2),
            "catalogue_only": {"items": len(mixed), "held_out": count, "terms": terms},
        },
    )


@dataclass(frozen=True)
class _CatalogueRun:
    config: FLMConfig
    seed: int
    network: FLMNetwork
    task: CatalogueTask
    held_out: CatalogueTask | None
    optimizer: Optimizer
    steps_per_epoch: int


def _fit(run: _CatalogueRun, *, name: str, folder: Path | None, seconds: float, progress: Progress) -> Place:
    """Train the network in place; afterwards it holds the best state."""
    place, best = Place(), dict[str, Tensor]()
    found = None if folder is None else load_checkpoint(folder, run=name, network=run.network, optimizer=run.optimizer)
    if found is not None:
        place, best = found
    clock = saved = time.monotonic()
    before = place.elapsed_seconds
    while not place.done:
        while place.step < run.steps_per_epoch and not place.done:
            _step(run, place)
            place.elapsed_seconds = before + time.monotonic() - clock
            place.done = 0 < run.config.max_seconds < place.elapsed_seconds
            if folder is not None and time.monotonic() - saved >= seconds:
                save_checkpoint(folder, run=name, place=place, network=run.network, best=best, optimizer=run.optimizer)
                saved = time.monotonic()
        best = _end_epoch(run, place, best)
        progress(place.epoch, run.config.max_epochs, f"loss {place.curve[-1]['losses']['content']:.3f}")
    if folder is not None:
        save_checkpoint(folder, run=name, place=place, network=run.network, best=best, optimizer=run.optimizer)
    if best:
        run.network.load_state_dict(best)
    return place


def _step(run: _CatalogueRun, place: Place) -> None:
    """One step; its draws follow from seed, epoch and step alone."""
    config = run.config
    loss = run.task.loss(run.network, Draws(derive_seed(run.seed, f"catalogue/{place.epoch}/{place.step}")))
    dense = dense_parameters(run.network)
    gradients = torch.autograd.grad(loss, dense, allow_unused=True)
    done = (place.epoch + place.step / run.steps_per_epoch) / config.max_epochs
    rate = scheduled(step=place.total_steps, done=done, peak=config.learning_rate, warmup_steps=config.warmup_steps)
    run.optimizer.step(gradients, torch.zeros(0, dtype=torch.int64), {}, learning_rate=rate, step=place.total_steps + 1)
    place.loss_sums["content"] = place.loss_sums.get("content", 0.0) + float(loss.detach())
    place.step += 1
    place.total_steps += 1


def _end_epoch(run: _CatalogueRun, place: Place, best: dict[str, Tensor]) -> dict[str, Tensor]:
    """Look at the held-out items, and keep the network where they are told best."""
    losses = {"content": round(place.loss_sums.get("content", 0.0) / max(place.step, 1), 5)}
    place.epoch += 1
    place.step = 0
    place.loss_sums = {}
    place.done = place.done or place.epoch >= run.config.max_epochs
    entry: dict[str, Any] = {"epoch": place.epoch, "seconds": round(place.elapsed_seconds, 2), "losses": losses}
    if run.held_out is not None:
        with torch.inference_mode():
            value = float(run.held_out.loss(run.network, Draws(derive_seed(run.seed, "catalogue/look"))))
        entry["held_out"] = round(value, 5)
        # The place keeps the largest number as the best one.
        if place.best_epoch == 0 or -value > place.best:
            place.best, place.best_epoch = -value, place.epoch
            best = snapshot(run.network)
    place.curve.append(entry)
    return best


def _run_name(config: FLMConfig, seed: int, vectors: Sequence[np.ndarray[Any, Any]]) -> str:
    digest = hashlib.sha256()
    for one in vectors:
        digest.update(np.ascontiguousarray(one).tobytes())
    return fingerprint([kinema.__version__, torch.__version__, "catalogue", asdict(config), seed, digest.hexdigest()])
