import asyncio
import shutil
import subprocess
import time

import pytest

from kinema.errors import ConfigError
from kinema.serving import rates as module
from kinema.serving.keys import Scope
from kinema.serving.rates import Buckets, Rate, Rates


def waits(rates, *asked):
    async def run():
        return [await rates.wait_for(scope, name) for scope, name in asked]

    return asyncio.run(run())


def test_a_burst_passes_and_the_next_must_wait():
    rates = Rates({Scope.READ: Rate(1, 3)})
    found = waits(rates, *[(Scope.READ, "key:a")] * 4)
    assert found[:3] == [0, 0, 0]
    assert 1 <= found[3] <= 4


def test_each_key_and_each_scope_has_its_own():
    rates = Rates({Scope.READ: Rate(1, 1), Scope.WRITE: Rate(1, 1)})
    assert waits(rates, (Scope.READ, "a"), (Scope.READ, "b"), (Scope.WRITE, "a")) == [0, 0, 0]


def test_a_scope_without_a_rate_is_free():
    assert waits(Rates({}), *[(Scope.READ, "a")] * 50) == [0] * 50


def test_failures_are_counted_by_network():
    rates = Rates({}, failures=Rate(1, 2))

    async def run(*addresses):
        return [await rates.wait_after_failure(one) > 0 for one in addresses]

    assert asyncio.run(run("10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.1")) == [False, False, False, True]
    assert asyncio.run(run("2001:db8::1", "2001:db8::2", "2001:db8::3")) == [False, False, True]
    assert asyncio.run(run("testclient", "testclient", "testclient")) == [False, False, True]


def test_sign_ins_are_counted_apart_from_failures():
    rates = Rates({}, failures=Rate(1, 1), logins=Rate(1, 2))

    async def run():
        failed = [await rates.wait_after_failure("10.0.0.1") > 0 for _ in range(2)]
        return failed, [await rates.wait_for_login("10.0.0.1") > 0 for _ in range(3)]

    assert asyncio.run(run()) == ([False, True], [False, False, True])


@pytest.mark.parametrize(
    ("rate", "window"),
    [
        (Rate(50, 100), "100 per 2 second"),
        (Rate(0.5, 5), "5 per 10 second"),
        (Rate(10, 10), "10 per 1 second"),
        (Rate(3, 10), "10 per 4 second"),
    ],
)
def test_a_rate_is_a_window_that_never_allows_more(rate, window):
    item = rate.item()
    assert str(item) == window
    assert item.amount / item.get_expiry() <= rate.per_second


@pytest.mark.parametrize("rate", [Rate(0, 1), Rate(-1, 1), Rate(10, 5), Rate(0.1, 0), Rate(float("nan"), 1)])
def test_an_impossible_rate_says_so(rate):
    with pytest.raises(ConfigError, match=r"a burst must be at least 1 and the rate per second, which must be > 0; is"):
        Rates({Scope.READ: rate})


def test_a_redis_that_is_down_leaves_the_limits_of_the_process(monkeypatch):
    warned = []
    monkeypatch.setattr(module._LOG, "warning", lambda *_, **told: warned.append(told), raising=False)
    rates = Rates({Scope.READ: Rate(1, 2)}, redis_url="redis://127.0.0.1:1/0")
    found = waits(rates, *[(Scope.READ, "a")] * 3)
    assert [one > 0 for one in found] == [False, False, True]
    assert len(warned) == 1


def test_a_url_that_is_no_redis_says_so_without_telling_it():
    with pytest.raises(ConfigError, match="the URL of rate limits must start with redis://") as caught:
        Rates({}, redis_url="http://user:hunter2@host")
    assert "hunter2" not in str(caught.value)


def test_a_bucket_refills_at_its_rate_and_never_gives_more():
    now = [0.0]
    buckets = Buckets(clock=lambda: now[0])
    rate = Rate(per_second=2, burst=3)
    given = 0
    for step in range(1000):
        now[0] = step / 100
        given += buckets.wait(rate, "a") == 0
    assert given == 3 + 19  # the burst, then two a second
    assert buckets.wait(rate, "a") == pytest.approx(0.01)
    now[0] = 1000.0
    assert [buckets.wait(rate, "a") == 0 for _ in range(4)] == [True, True, True, False]


def test_a_refused_request_costs_nothing():
    buckets = Buckets(clock=lambda: 0.0)
    rate = Rate(per_second=1, burst=1)
    assert [buckets.wait(rate, "a") for _ in range(4)] == [0.0, 1.0, 1.0, 1.0]


def test_buckets_that_are_full_again_are_forgotten(monkeypatch):
    monkeypatch.setattr(module, "_FEW_BUCKETS", 10)
    now = [0.0]
    buckets = Buckets(clock=lambda: now[0])
    for number in range(200):
        now[0] = float(number)
        buckets.wait(Rate(per_second=1, burst=1), f"key {number}")
    assert len(buckets._paid_off) <= 10


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed; apt-get install redis-server")
    folder = tmp_path_factory.mktemp("redis")
    place = folder / "r.sock"
    words = ["redis-server", "--port", "0", "--unixsocket", str(place), "--save", "", "--dir", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as server:
        for _ in range(200):
            if place.exists():
                break
            time.sleep(0.05)
        yield f"redis+unix://{place}"
        server.terminate()


def test_replicas_count_together_in_redis(redis_url):
    async def run():
        first, second = (Rates({Scope.READ: Rate(1, 4)}, redis_url=redis_url) for _ in range(2))
        found = [await rates.wait_for(Scope.READ, "key:a") for rates in (first, second, first, second, first, second)]
        await first.close()
        await second.close()
        return found

    found = asyncio.run(run())
    assert found[:4] == [0, 0, 0, 0]
    assert all(1 <= one <= 4 for one in found[4:])
