import subprocess
import sys
import threading

from kinema.store.changes import Changes
from kinema.store.opening import open_store

_TELLER = """
import sys
from pathlib import Path
from kinema.store.changes import Changes
from kinema.store.opening import open_store
changes = Changes(Path(sys.argv[1]))
for _ in range(500):
    changes.tell(events=True, others=True)
"""


def test_what_one_tells_the_other_reads(tmp_path):
    one, other = Changes(tmp_path / "changes"), Changes(tmp_path / "changes")
    assert other.read() == (0, 0)
    one.tell(events=True)
    one.tell(others=True)
    other.tell(events=True, others=True)
    one.tell()
    assert one.read() == other.read() == (2, 2)
    one.close()
    other.close()


def test_no_change_is_lost_between_processes_and_threads(tmp_path):
    changes = Changes(tmp_path / "changes")
    command = [sys.executable, "-c", _TELLER, str(tmp_path / "changes")]
    tellers = [subprocess.Popen(command) for _ in range(2)]
    threads = [threading.Thread(target=lambda: [changes.tell(events=True) for _ in range(500)]) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [one.wait(30) for one in tellers] == [0, 0]
    assert changes.read() == (2000, 1000)
    changes.close()


def test_it_counts_on_alone_when_it_is_closed(tmp_path):
    changes, other = Changes(tmp_path / "changes"), Changes(tmp_path / "changes")
    changes.tell(events=True)
    changes.close()
    changes.tell(events=True)
    changes.close()
    assert (changes.read(), other.read()) == ((2, 0), (1, 0))
    other.close()


def test_a_file_that_cannot_be_made_leaves_it_alone(tmp_path):
    changes = Changes(tmp_path / "nowhere" / "changes")
    changes.tell(others=True)
    assert changes.read() == (0, 1)
    changes.close()


def test_numbers_stay_when_the_processes_end(tmp_path):
    changes = Changes(tmp_path / "changes")
    changes.tell(events=True)
    changes.close()
    again = Changes(tmp_path / "changes")
    assert again.read() == (1, 0)
    assert (tmp_path / "changes").stat().st_size == 16
    again.close()


def test_stores_of_one_file_tell_each_other_and_others_by_the_file_they_are_given(tmp_path, monkeypatch):
    one, other = (open_store(tmp_path / "store.db", changes=tmp_path / "own") for _ in range(2))
    before = other.changes.read()
    one.set_meta("a", 1)
    assert other.changes.read() == (before[0], before[1] + 1)
    assert not (tmp_path / "own").exists()
    with monkeypatch.context() as served:
        served.setattr("kinema.store.opening.beside", lambda _: None)
        third = open_store(tmp_path / "store.db", changes=tmp_path / "own")
    assert (tmp_path / "own").exists()
    for store in (one, other, third):
        store.close()
