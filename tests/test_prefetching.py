"""The feed: a plain loop's order and content, made ahead, and no more than asked for."""

import threading
import time
from contextlib import closing

import numpy as np
import pytest

from mammolens.errors import ConfigError
from mammolens.prefetching import prefetch


def draw(step):
    """Takes longer for some steps than for their successors."""
    rng = np.random.default_rng((7, step))
    time.sleep(float(rng.uniform(0, 0.004)))
    return step, rng.standard_normal((8, 8))


@pytest.mark.parametrize(("ahead", "workers"), [(1, 1), (3, 1), (4, 4)])
def test_order_and_draws_are_those_of_a_plain_loop(ahead, workers):
    plain = [draw(step) for step in range(5, 30)]
    fed = list(prefetch(draw, range(5, 30), ahead=ahead, workers=workers))
    assert [step for step, _ in fed] == [step for step, _ in plain]
    for (_, first), (_, second) in zip(plain, fed, strict=True):
        assert (first == second).all()


def test_the_next_batch_is_made_while_one_is_in_use():
    started = [threading.Event() for _ in range(4)]

    def make(step):
        started[step].set()
        return step

    with closing(prefetch(make, range(4))) as feed:
        for step in feed:
            if step < 3:
                assert started[step + 1].wait(10)


def test_no_more_is_taken_than_asked_for():
    taken = []

    def steps():
        for step in range(100):
            taken.append(step)
            yield step

    with closing(prefetch(lambda step: step, steps(), ahead=2)) as feed:
        assert next(feed) == 0
        assert taken == [0, 1, 2]
        assert next(feed) == 1
        assert taken == [0, 1, 2, 3]


def test_an_error_comes_at_its_own_step():
    def make(step):
        if step == 3:
            raise ValueError("step 3")
        return step

    seen = []
    with pytest.raises(ValueError, match="step 3"):
        seen.extend(step for step in prefetch(make, range(9), ahead=4))
    feed = prefetch(make, range(9), ahead=4)
    assert [next(feed) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="step 3"):
        next(feed)


def test_leaving_early_ends_the_thread_and_what_waits_is_not_made():
    made = []

    def make(step):
        made.append(step)
        time.sleep(0.02)
        return step

    feed = prefetch(make, range(1000), ahead=50)
    assert next(feed) == 0
    feed.close()
    assert len(made) < 50
    assert not [t for t in threading.enumerate() if t.name.startswith("prefetch") and t.is_alive()]


def test_nothing_to_feed_and_impossible_settings():
    assert list(prefetch(draw, [])) == []
    for setting in ({"ahead": -1}, {"workers": 0}):
        with pytest.raises(ConfigError, match="ahead"):
            prefetch(draw, range(3), **setting)


def test_nothing_ahead_is_made_in_the_callers_thread():
    threads = set(prefetch(lambda _: threading.get_ident(), range(3), ahead=0, workers=4))
    assert threads == {threading.get_ident()}
