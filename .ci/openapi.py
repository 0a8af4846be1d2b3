"""Part of `make console-types`: the OpenAPI document of an empty project's service, without starting one.

The document has every path whatever a project holds, so that what is generated from it is the same on every machine.
"""

import json
import sys
import tempfile
from pathlib import Path

from kinema.project import Project
from kinema.steps.serving import make_app


def main(target: Path) -> None:
    """Write the document.

    Args:
        target: The file.
    """
    with tempfile.TemporaryDirectory() as folder, Project.init(Path(folder) / "empty") as project:
        document = make_app(project, is_open=True).openapi()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
