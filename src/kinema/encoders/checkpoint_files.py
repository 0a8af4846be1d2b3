"""Small settings files that lie beside a checkpoint's weights, in a folder or on the hub."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from kinema.encoders.weights import Role, load_pretrained
from kinema.errors import ConfigError
from kinema.extras import require


def checkpoint_json(name: str, file: str, *, role: Role, cache: Path | None = None) -> dict[str, Any]:
    """A checkpoint's settings file.

    Args:
        name: Folder or hub name.
        file: Such as ``1_Pooling/config.json``.
        role: What it is wanted for.
        cache: Where hub downloads are kept; the hub's default where None.

    Returns:
        Its content; empty where there is no such file, or no checkpoint.

    Raises:
        ConfigError: The file is not JSON.
    """
    path: Path | None = Path(name) / file
    if not Path(name).exists():
        path = None
        hub = require("transformers").utils.hub
        with suppress(ConfigError):
            path = Path(load_pretrained(hub.cached_file, name, role=role, filename=file, cache_dir=cache))
    if path is None or not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ConfigError(
            f"'{file}' of {role} encoder '{name}' must be JSON: {error}; save the model there again"
        ) from error
