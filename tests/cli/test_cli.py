import errno
import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from kinema.cli.main import COMMANDS, main, run


def call(*arguments):
    return CliRunner().invoke(main, [*arguments])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_answers_in_json(command):
    found = main.get_command(click.Context(main), command)
    parts = found.list_commands(click.Context(found)) if isinstance(found, click.Group) else []
    for words in [[command, one] for one in parts] or [[command]]:
        done = call(*words, "--help")
        assert done.exit_code == 0
        assert "Example" in done.output, words
        assert f"kinema {' '.join(words)}" in done.output
        assert "--json" in done.output, words


def test_the_help_lists_every_command():
    text = call("--help").output
    assert all(f"\n  {name} " in text for name in COMMANDS)


def test_doctor_tells_versions_and_remedies():
    report = json.loads(call("doctor", "--json").output)
    assert {"av", "torch", "transformers"} <= {one["name"] for one in report["modules"]}
    assert all(one["install"].startswith("pip install") for one in report["weights"])
    assert report["machine"]["cores"] >= 1
    assert "unknown" not in {one["version"] for one in report["modules"]}


def _run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["kinema", *arguments])
    with pytest.raises(SystemExit) as stop:
        run()
    return stop.value.code, capsys.readouterr()


def test_an_unknown_command_points_to_the_help(monkeypatch, capsys):
    code, said = _run(monkeypatch, capsys, "recomend")
    assert code == 2
    assert said.err == "error: No such command 'recomend', did you mean 'recommend'?; see: kinema --help\n"


def test_a_wrong_mapping_shows_the_form(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, said = _run(monkeypatch, capsys, "ingest", "--events", "x.csv", "--map", "viewer")
    assert code == 1
    assert said.err.startswith("error: --map must have the form THEIRS=OURS, is 'viewer'")


def test_errors_are_also_json_when_asked_for(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, said = _run(monkeypatch, capsys, "check", "--json")
    assert code == 1
    assert json.loads(said.out)["error"] == "NotBuiltError"
    assert "kinema init NAME" in said.err


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "store.db"),
            "no space is left on the disk for 'store.db'; make room",
        ),
        (
            RuntimeError("I/O error: No space left on device (os error 28)"),
            "no space is left on the disk; make room, then",
        ),
        (
            RuntimeError("(sqlite3.OperationalError) database or disk is full"),
            "no space is left on the disk; make room",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "shop"),
            "'shop' must be open to this user, is not: Permission",
        ),
    ],
)
def test_what_disk_or_rights_refuse_is_one_line(monkeypatch, capsys, refused, message):
    def refuse():
        raise refused

    monkeypatch.setattr("kinema.steps.doctor.examine", refuse)
    code, said = _run(monkeypatch, capsys, "doctor")
    assert code == 1
    assert said.err.startswith(f"error: {message}")
    assert said.err.count("\n") == 1


def test_a_mistake_of_ours_keeps_its_trace(monkeypatch, capsys):
    def fail():
        raise ValueError("ours")

    monkeypatch.setattr("kinema.steps.doctor.examine", fail)
    monkeypatch.setattr(sys, "argv", ["kinema", "doctor"])
    with pytest.raises(ValueError, match="ours"):
        run()


def test_the_start_does_not_import_the_heavy_libraries():
    code = "import sys, kinema.cli.main as m; m.main(['--help'], standalone_mode=False); print({'torch', 'polars', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("set()")


def test_the_demo_names_a_program_that_can_be_called_from_here(monkeypatch, tmp_path):
    from kinema.cli import demo  # noqa: PLC0415  # only this test looks inside

    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kinema").touch()
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin" / "kinema")])
    monkeypatch.setattr(demo.shutil, "which", lambda name: None)
    assert demo._program() == "bin/kinema"
    monkeypatch.setattr(demo.shutil, "which", lambda name: "/usr/bin/kinema")
    assert demo._program() == "kinema"


def test_ingest_shows_what_it_set_aside_and_what_held_nothing(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    call("init", "shop")
    (tmp_path / "items.csv").write_text("id,title\na,Alpha\n")
    (tmp_path / "events.csv").write_text(
        "user,item,timestamp\nu,a,1790000000\nu,a,soon\nu,z,1790000000\nu,a,\nu,a,never\n"
    )
    (tmp_path / "none.csv").write_text("user,item,timestamp\n")
    said = call("ingest", "--items", "items.csv", "--events", "events.csv").output
    assert "set aside: 'events.csv' row 2: timestamp_ms must be a time" in said
    assert said.count("set aside: ") == 3
    assert "all of them: " in said
    again = call("ingest", "--events", "none.csv").output
    assert "note: nothing to read in 'none.csv'" in again
    assert "set aside: " not in again  # what earlier files had set aside is not this one's


def test_check_tells_moments_that_cannot_be_right(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    call("init", "shop")
    (tmp_path / "events.csv").write_text("user,item,timestamp\nu,a,1790000000\nu,b,17900000\n")
    call("ingest", "--events", "events.csv")
    assert "note: the oldest event is of 1970-07-27" in call("check").output
    assert "1970-07-27" in json.loads(call("check", "--json").output)["notices"][0]
