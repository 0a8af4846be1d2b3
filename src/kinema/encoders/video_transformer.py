"""Motion by a video transformer, the heavy alternative to optical flow: VideoMAE and TimeSformer by hub name or folder.

The frames are those the sampler spreads over the clip. Their colours are brought to the scale of the checkpoint's own
settings; the library's video processors are not used, since they need torchvision.

Shape suffixes: B windows, T frames of a window, N tokens, S moments, H height, W width, 3 red-green-blue, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinema.artifacts import fingerprint
from kinema.encoders.checkpoint_files import checkpoint_json
from kinema.encoders.devices import check_device
from kinema.encoders.frames import FrameReader
from kinema.encoders.modality import Clip, ClipEncoder, Tokens, Wants
from kinema.encoders.motion import FLOW, load_motion_encoder
from kinema.encoders.pooling import pool_segments
from kinema.encoders.weights import load_pretrained, weights_digest
from kinema.errors import ConfigError
from kinema.extras import require
from kinema.threads import set_thread_policy

_VERSION: Final = 1
_KINDS: Final = ("videomae", "timesformer")
_SETTINGS: Final = ("video_preprocessor_config.json", "preprocessor_config.json")
_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)
_Colours = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class VideoReader:
    """The half that runs where clips are decoded; see `kinema.encoders.modality.Reader`.

    Attributes:
        side: Frames become squares of this side, pixels.
        num_frames: Frames per clip, >= 2.
    """

    side: int
    num_frames: int

    @property
    def wants(self) -> Wants:
        """Frames spread over the clip."""
        return FrameReader(self.side, self.num_frames).wants

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """As `kinema.encoders.frames.FrameReader.read`; empty also for a single picture, whose movement is unknown."""
        reading = FrameReader(self.side, self.num_frames).read(clip)
        return reading if len(reading.get("times_ms", ())) > 1 else {}


class VideoTransformerEncoder:
    """A loaded video transformer; see `kinema.encoders.modality.ClipEncoder`.

    A token is the mean over the picture of what the last layer says of one moment (of two frames for VideoMAE, one for
    TimeSformer), of length 1. A clip is cut into `windows` stretches of as many frames as the model takes; one with fewer
    frames than wanted shows some of them twice.

    Attributes:
        name: As in the configuration.
        fingerprint: Equal for equal tokens and vectors.
        token_width: D.
        width: D.
        reader: The other half.

    Source:
        Tong et al., VideoMAE, NeurIPS 2022; Bertasius et al., Is Space-Time Attention All You Need for Video
        Understanding, ICML 2021.
    """

    def __init__(
        self, *, name: str, model: Any, colours: _Colours, windows: int = 1, batch_size: int = 2, device: str = "cpu"
    ) -> None:
        config = model.config
        if config.model_type not in _KINDS:
            raise ConfigError(
                f"motion encoder '{name}' must be {FLOW}METHOD, VideoMAE or TimeSformer, is {type(model).__name__}"
            )
        if windows < 1 or batch_size < 1:
            raise ConfigError(f"a video transformer needs windows and batch_size >= 1, got {windows} and {batch_size}")
        self.name = name
        self.token_width = int(config.hidden_size)
        self.width = self.token_width
        self._num_frames = int(config.num_frames)
        self._step = int(getattr(config, "tubelet_size", 1))
        self._windows = windows
        self._batch_size = batch_size
        self._device = device
        self._colours = tuple(torch.tensor(one, device=device).view(3, 1, 1) * 255 for one in colours)
        self._model = model.eval().to(device)
        self.reader = VideoReader(int(config.image_size), self._num_frames * windows)
        self.fingerprint = fingerprint(
            {
                "video_transformer": _VERSION,
                "weights": weights_digest(model.state_dict()),
                "colours": colours,
                "windows": windows,
                "num_frames": self._num_frames,
            }
        )

    def encode(self, readings: Sequence[dict[str, NDArray[Any]]]) -> list[Tokens]:
        """Tokens of several clips.

        Args:
            readings: What `VideoReader.read` returned, not empty.

        Returns:
            Tokens [S, D], S = windows x frames of a window / frames of a moment; they do not depend on the other clips (to
            1e-5). A moment's time is the mean of its frames'.
        """
        if not readings:
            return []
        total = self._windows * self._num_frames
        places = [_stretch(len(reading["times_ms"]), total) for reading in readings]
        tokens = []
        # The pictures of one clip are twice the memory of its file's reading: a clip at a time is filled up.
        windows = (
            reading["frames"][place].reshape(self._windows, self._num_frames, *reading["frames"].shape[1:])
            for reading, place in zip(readings, places, strict=True)
        )
        moments = self._encode_windows(windows)
        for reading, place in zip(readings, places, strict=True):
            tokens_SD = np.concatenate([next(moments) for _ in range(self._windows)])
            times = reading["times_ms"][place].reshape(-1, self._step).mean(axis=1)
            tokens.append(Tokens(tokens_SD, np.round(times).astype(np.int64)))
        return tokens

    def _encode_windows(self, clips: Any) -> Any:
        """Yield float32 [S of a window, D] for each window of each clip, a batch per forward pass."""
        waiting: list[NDArray[np.uint8]] = []
        for clip in clips:
            for window in clip:
                waiting.append(window)
                if len(waiting) == self._batch_size:
                    yield from self._forward(np.stack(waiting))
                    waiting.clear()
        if waiting:
            yield from self._forward(np.stack(waiting))

    def _forward(self, frames_BTHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 [B, S, D]."""
        with torch.inference_mode():
            x_BT3HW = torch.from_numpy(frames_BTHW3).to(self._device).permute(0, 1, 4, 2, 3).float()
            mean, deviation = self._colours
            hidden_BND = self._model(pixel_values=(x_BT3HW - mean) / deviation).last_hidden_state.float()
            moments_BSD = self._moments(hidden_BND, len(frames_BTHW3))
            return np.asarray(torch.nn.functional.normalize(moments_BSD, dim=-1).cpu().numpy(), dtype=np.float32)

    def _moments(self, hidden_BND: Tensor, num_windows: int) -> Tensor:
        """float32 [B, S, D]: VideoMAE puts moment after moment, TimeSformer place after place behind a token of its own."""
        num = self._num_frames // self._step
        width = hidden_BND.shape[-1]
        if self._model.config.model_type == "videomae":
            return hidden_BND.reshape(num_windows, num, -1, width).mean(2)
        if self._model.config.attention_type == "space_only":  # each frame was a picture of its own
            return hidden_BND[:, 1:].mean(1).reshape(num_windows, num, width)
        return hidden_BND[:, 1:].reshape(num_windows, -1, num, width).mean(1)

    def pool(self, tokens: Tokens) -> NDArray[np.float32]:
        """float32 [D], the mean over time."""
        return pool_segments(tokens.tokens_TD, segments=(1,), statistics=("mean",))


def load_video_transformer(
    name: str, *, windows: int = 1, batch_size: int = 2, device: str = "cpu", cache: Path | None = None
) -> VideoTransformerEncoder:
    """Load a video transformer.

    Args:
        name: Folder or hub name of VideoMAE or TimeSformer.
        windows: Stretches a clip is cut into, >= 1; more see faster movement in long clips and cost as much more.
        batch_size: Windows per forward pass, >= 1.
        device: A torch device.
        cache: Where hub downloads are kept; the hub's default where None.

    Returns:
        The encoder.

    Raises:
        ConfigError: The name leads to no checkpoint, or to one of another kind, or a number is out of range.
        MissingExtraError: torch or transformers is not installed.
    """
    set_thread_policy()
    check_device(device)
    model = load_pretrained(
        require("transformers").AutoModel.from_pretrained, name, dtype=torch.float32, role="motion", cache_dir=cache
    )
    settings: dict[str, Any] = {}
    for file in _SETTINGS:
        settings = settings or checkpoint_json(name, file, role="motion", cache=cache)
    colours = (tuple(settings.get("image_mean") or _MEAN), tuple(settings.get("image_std") or _DEVIATION))
    return VideoTransformerEncoder(
        name=name, model=model, colours=colours, windows=windows, batch_size=batch_size, device=device
    )


def load_motion(name: str, *, device: str = "cpu", batch_size: int = 2, cache: Path | None = None) -> ClipEncoder:
    """The motion encoder of any name: optical flow where it begins with ``flow:``, else a video transformer.

    Args:
        name: As for `kinema.encoders.motion.load_motion_encoder` or `load_video_transformer`.
        device: A torch device; flow does not use it.
        batch_size: Windows per forward pass of a video transformer, >= 1.
        cache: Where hub downloads are kept; the hub's default where None.

    Returns:
        The encoder.

    Raises:
        ConfigError: See the two.
        MissingExtraError: See the two.

    Example:
        >>> load_motion("flow:dis").token_width
        68
    """
    if name.startswith(FLOW):
        return load_motion_encoder(name)
    return load_video_transformer(name, device=device, batch_size=batch_size, cache=cache)


def _stretch(num_there: int, num_wanted: int) -> NDArray[np.int64]:
    """Which frame stands at each wished place, when there may be fewer.

    Example:
        >>> _stretch(3, 4).tolist(), _stretch(4, 4).tolist()
        ([0, 0, 1, 2], [0, 1, 2, 3])
    """
    return (np.arange(num_wanted) * num_there // num_wanted).astype(np.int64)
