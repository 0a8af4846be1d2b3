import io
import json
import os
import subprocess
import sys

import pytest

from kinema import extras, logs, threads
from kinema.errors import DataError, MissingExtraError
from kinema.seeds import derive_seed, generator
from kinema.store.histories import Histories
from kinema.threads import set_thread_policy


def test_a_missing_extra_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    with pytest.raises(
        MissingExtraError, match=r"av is needed for decoding of video files .* run: pip install 'kinema\[video\]'"
    ):
        extras.require("av")


def test_seeds_differ_by_purpose_and_repeat_by_seed():
    assert derive_seed(1, "a") != derive_seed(1, "b") != derive_seed(2, "b")
    assert generator(1, "a").integers(1000, size=5).tolist() == generator(1, "a").integers(1000, size=5).tolist()


def test_the_thread_policy_respects_the_user(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    set_thread_policy()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_logs_are_json_lines_on_standard_error(capfd):
    logs.configure(level="info", as_json=True)
    logs.get_logger("store").info("opened", path="x")
    logs.get_logger("store").debug("not shown")
    line = json.loads(capfd.readouterr().err)
    assert (line["event"], line["room"], line["path"], line["level"]) == ("opened", "store", "x", "info")


def test_logs_survive_a_standard_error_that_was_closed_and_replaced(monkeypatch, capfd):
    with io.StringIO() as closed_later:
        monkeypatch.setattr(sys, "stderr", closed_later)
        logs.configure(level="info", as_json=True)
    monkeypatch.undo()
    logs.get_logger("store").info("still here")
    assert "still here" in capfd.readouterr().err


def test_the_data_rooms_import_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import kinema.schema, kinema.store.sql, kinema.sources.tables, kinema.media.probe, kinema.metrics.ranking\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_histories_that_do_not_fit_together_are_refused():
    good = Histories.from_lists([[1, 2]], num_items=3)
    with pytest.raises(DataError, match="one time stamp per item"):
        Histories(good.offsets, good.items[:1], good.timestamps_ms, 3)


def test_freed_memory_is_kept_where_the_c_library_is_glibc_and_elsewhere_nothing_happens(monkeypatch):
    told = []

    class Library:
        def mallopt(self, option, size):
            told.append((option, size))

    monkeypatch.setattr(threads.ctypes, "CDLL", lambda _: Library())
    monkeypatch.setattr(threads.sys, "platform", "linux")
    threads.keep_freed_memory()
    assert dict(told) == {-1: 256 << 20, -2: 16 << 20, -3: 32 << 20}
    monkeypatch.setattr(threads.ctypes, "CDLL", lambda _: object())
    threads.keep_freed_memory()
    monkeypatch.setattr(threads.sys, "platform", "win32")
    threads.keep_freed_memory()
    assert len(told) == 3


def test_freed_memory_is_given_back_where_the_c_library_is_glibc_and_elsewhere_nothing_happens(monkeypatch):
    told = []

    class Library:
        def malloc_trim(self, keep):
            told.append(keep)

    monkeypatch.setattr(threads.sys, "platform", "linux")
    monkeypatch.setattr(threads.ctypes, "CDLL", lambda _: Library())
    threads.give_back_freed_memory()
    monkeypatch.setattr(threads.ctypes, "CDLL", lambda _: object())
    threads.give_back_freed_memory()
    monkeypatch.setattr(threads.sys, "platform", "darwin")
    threads.give_back_freed_memory()
    assert told == [0]
