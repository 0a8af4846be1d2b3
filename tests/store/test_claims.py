"""Claims: work is done once, and a process that dies leaves nothing claimed."""

import subprocess
import sys

import pytest

from kinema.store.claims import Claims, SharedWork

KEYS = [f"{number:x}".ljust(64, "0") for number in range(1, 9)]

HOLD = """
import sys
from pathlib import Path
from kinema.store.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(*[claims.take(key) for key in sys.argv[2:]], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the first two keys."""
    command = [sys.executable, "-c", HOLD, str(tmp_path), *KEYS[:2]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True True\n"
        yield process
        process.kill()


def test_what_another_process_is_at_work_on_cannot_be_claimed_until_it_is_dead(tmp_path, other):
    with Claims(tmp_path) as claims:
        assert [claims.take(key) for key in KEYS[:3]] == [False, False, True]
        other.kill()
        other.wait()
        assert [claims.take(key) for key in KEYS[:3]] == [True, True, True]


def test_released_claims_can_be_taken_by_others(tmp_path):
    with Claims(tmp_path) as claims:
        claims.take(KEYS[0])
        claims.take(KEYS[1])
        claims.release([KEYS[0]])
        done = subprocess.run(
            [sys.executable, "-c", HOLD, str(tmp_path), *KEYS[:2]], capture_output=True, text=True, check=True, input=""
        )
        assert done.stdout == "True False\n"


def test_shared_work_leaves_the_others_theirs_and_comes_back_to_it(tmp_path, other):
    finished = set()
    with Claims(tmp_path) as claims:
        work = SharedWork(KEYS[:5], claims=claims, is_done=finished.__contains__, refresh=lambda: None)
        assert work.take(2) == KEYS[2:4]
        finished.update(KEYS[2:4])
        work.settle(KEYS[2:4])
        assert work.take(2) == [KEYS[4]]
        work.settle([KEYS[4]])
        assert work.take(2) == []
        assert (work.num_done, work.finished, work.available) == (3, False, False)
        finished.add(KEYS[0])
        other.kill()
        other.wait()
        assert work.take(2) == [KEYS[1]]
        work.settle([KEYS[1]])
        assert work.finished


def test_a_key_that_was_finished_between_a_look_and_a_claim_is_not_done_again(tmp_path):
    finished, looks = set(), []

    def refresh():
        looks.append(1)
        if len(looks) == 2:
            finished.add(KEYS[0])

    with Claims(tmp_path) as claims:
        work = SharedWork(KEYS[:2], claims=claims, is_done=finished.__contains__, refresh=refresh)
        assert work.take(2) == [KEYS[1]]
        assert work.num_done == 1
