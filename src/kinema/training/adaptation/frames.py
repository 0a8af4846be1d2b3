"""An image encoder learns which frames belong to which title.

A CLIP-like checkpoint is compared with its own text tower. Any other meets the vectors of a text encoder that stays as
it is, over two small projections that are thrown away afterwards: what they learn is not served.

Shape suffixes: N items of a batch, M items that are learnt from, T frames, S side of a picture, 3 red-green-blue,
D width, E width of the text vectors.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from kinema.errors import ConfigError
from kinema.losses.contrastive import symmetric_info_nce
from kinema.seeds import derive_seed
from kinema.training.adaptation.eyes import Eye
from kinema.training.adaptation.lessons import NEW_HEAD_FACTOR
from kinema.training.adaptation.text import DELTA_FOLDER, Method
from kinema.training.adapters import Change

_PROJECTION: Final = 128


class MatchingLesson:
    """A frame encoder and the frames and titles it learns from.

    Attributes:
        network: Encoder and projections.
        groups: Trained parameters with their factor on the step size.
        lengths_M: All 1: pictures have one size.
        own_text_tower: Titles are read by the checkpoint's own text tower.
        num_trained: Numbers that are trained.
    """

    def __init__(
        self,
        eye: Eye,
        *,
        pictures: NDArray[np.uint8],
        rows: NDArray[np.int64],
        titles: Sequence[str],
        title_vectors_ME: NDArray[np.float32] | None = None,
        method: Method = "lora",
        rank: int = 8,
        seed: int = 0,
    ) -> None:
        """Prepare a network for matching.

        Args:
            eye: The network; changed in place.
            pictures: Frames of clips, uint8 [clips, T, S, S, 3]; may be memory-mapped.
            rows: int64 [M], the clip of each item that is learnt from.
            titles: M titles.
            title_vectors_ME: Their vectors by a text encoder that stays as it is; needed where the eye cannot read.
            method: ``lora`` trains adapters, ``full`` all weights.
            rank: Of the adapters.
            seed: Of adapters and projections.

        Raises:
            ConfigError: The eye cannot read and there are no title vectors.
            MissingExtraError: peft is not installed.
        """
        if eye.read is None and title_vectors_ME is None:
            raise ConfigError(
                "an encoder without a text tower needs vectors of the titles, has none; name a text encoder"
            )
        self._eye = eye
        self._pictures = pictures
        self._rows = rows
        self._titles = [" ".join(one.split()) for one in titles]
        self._vectors = None if title_vectors_ME is None else torch.from_numpy(title_vectors_ME)
        self.own_text_tower = eye.read is not None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "adaptation/heads"))
            self._change = Change(eye.network, method, rank=rank)
            self._heads = nn.ModuleList()
            if self._vectors is not None and not self.own_text_tower:
                widths = (eye.width, self._vectors.shape[1])
                self._heads = nn.ModuleList(nn.Linear(width, _PROJECTION, bias=False) for width in widths)
                self._heads.to(next(eye.network.parameters()).device)
        self.network = nn.ModuleList([eye.network, self._heads])
        trained = [one for label, one in eye.network.named_parameters() if one.requires_grad and "logit" not in label]
        self.groups = [(trained, 1.0), (list(self._heads.parameters()), NEW_HEAD_FACTOR)]
        self.lengths_M = np.ones(len(self._titles), dtype=np.int64)
        self.num_trained = sum(one.numel() for parameters, _ in self.groups for one in parameters)

    def losses(self, rows_N: NDArray[np.int64]) -> dict[str, Tensor]:
        """Which title belongs to which frame, and the other way round, among the items of the batch.

        One frame of each item is drawn. Of items with the same title only the first counts, since the others would be
        wrong answers that are right.
        """
        titles = {self._titles[row]: row for row in reversed(rows_N.tolist())}
        rows = list(titles.values())
        moments = torch.randint(self._pictures.shape[1], (len(rows),)).tolist()
        seen_ND = self._eye.see(
            np.stack([self._pictures[self._rows[row], at] for row, at in zip(rows, moments, strict=True)])
        )
        if self._eye.read is not None:
            read_ND = self._eye.read(list(titles))
        else:
            assert self._vectors is not None
            seen_ND, read_ND = self._heads[0](seen_ND), self._heads[1](self._vectors[rows].to(seen_ND.device))
        # Small enough for the CPU, where the loss makes its labels.
        seen_ND, read_ND = normalize(seen_ND, dim=1).cpu(), normalize(read_ND, dim=1).cpu()
        return {"matching": symmetric_info_nce(seen_ND, read_ND, temperature=self._eye.temperature)}

    def save(self, folder: Path, *, base: str) -> int:
        """Write the adapted encoder as a folder that `load_frame_encoder` reads, and the delta alone beside it.

        Adapters are merged first, so this ends the lesson.

        Args:
            folder: Made if it is not there.
            base: Name of the encoder that was adapted, noted with the delta.

        Returns:
            Size of the delta, bytes.
        """
        size = self._change.save(folder / DELTA_FOLDER, base=base)
        self._eye.save(folder)
        return size
