import threading

from kinema.store.turns import Turns


def test_two_writers_never_have_their_turn_together(tmp_path):
    inside, most, lock = 0, 0, threading.Lock()

    def write(turns):
        nonlocal inside, most
        for _ in range(50):
            with turns.turn():
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1

    writers = [Turns(tmp_path / "turn", patience_s=30) for _ in range(3)]
    threads = [threading.Thread(target=write, args=(one,)) for one in writers]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert most == 1
    for one in writers:
        one.close()


def test_who_has_just_written_comes_after_who_waits(tmp_path):
    greedy, modest = Turns(tmp_path / "turn", patience_s=30), Turns(tmp_path / "turn", patience_s=30)
    waits, had = threading.Event(), threading.Event()

    def wait():
        waits.set()
        with modest.turn():
            had.set()

    waiting = threading.Thread(target=wait)
    with greedy.turn():
        waiting.start()
        waits.wait(10)
    while not had.is_set():
        with greedy.turn():
            pass
    waiting.join()
    for one in (greedy, modest):
        one.close()


def test_one_that_never_ends_is_passed_when_patience_is_over(tmp_path):
    stuck, other = Turns(tmp_path / "turn", patience_s=0), Turns(tmp_path / "turn", patience_s=0.02)
    with stuck.turn():
        reached = False
        with other.turn():
            reached = True
        assert reached
    for one in (stuck, other):
        one.close()


def test_without_a_file_there_is_nothing_to_wait_for(tmp_path):
    for path in (None, tmp_path / "nowhere" / "turn"):
        turns = Turns(path, patience_s=0)
        with turns.turn(), turns.turn():
            pass
        turns.close()
