import subprocess
import sys

import pytest

from database_places import DATABASES, store_url
from kinema.store.opening import open_store


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    return store_url(request, request.param, tmp_path)


def start_writer(url, name, count):
    command = [sys.executable, "-m", "store_writer", url, name, str(count)]
    return subprocess.Popen(command, cwd="tests", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_what_one_process_was_told_is_durable_the_next_poll_of_another_sees(url):
    store = open_store(url)
    seen = store.state().seq
    with start_writer(url, "other", 5) as writer:
        for _ in range(5):
            size = int(writer.stdout.readline())
            state = store.state()
            assert len(store.events_after(seen)) == size
            assert state.seq == seen + size
            seen = state.seq
            writer.stdin.write("\n")
            writer.stdin.flush()
    assert [event.item for event in store.user_events("other")] == ["a"] * 9
    store.close()


def test_a_reader_misses_nothing_though_two_processes_write_at_once(url):
    store = open_store(url)
    count = 30
    with start_writer(url, "one", count) as one, start_writer(url, "other", count) as other:
        for writer in (one, other):
            writer.stdout.readline()  # both are there before either goes on
        for writer in (one, other):
            writer.stdin.write("\n" * count)
            writer.stdin.flush()
        found, last, running = [], -1, True
        while running:
            running = one.poll() is None or other.poll() is None
            new = store.events_after(last, limit=7 if running else 10_000)
            found += [event.seq for event in new]
            last = found[-1] if found else -1
    assert (one.returncode, other.returncode) == (0, 0)
    assert found == list(range(2 * 2 * count))
    assert store.summary().num_events == len(found)
    store.close()
