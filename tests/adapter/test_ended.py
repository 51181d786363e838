"""The memory of what ended: bounded in number, age and bytes, whatever comes."""

from collections.abc import Callable

import pytest
from agent_adapter import ended
from agent_adapter.ended import KEPT_KEYED_TASKS, KEPT_RESULT_BYTES, KEPT_SECONDS, KEPT_TASKS, EndedTasks
from agent_adapter.tasks import Key, Task
from hypothesis import given
from hypothesis import strategies as st

from tests.adapter.hand_clock import HandClock

Add = Callable[..., Task]


@pytest.fixture
def kept(clock: HandClock) -> EndedTasks:
    """Give an empty memory."""
    return EndedTasks(clock)


@pytest.fixture
def add(kept: EndedTasks, clock: HandClock) -> Add:
    """Give a way to end a task now."""
    return lambda name, result=b"1", key=None: added(kept, clock, name, result, key)


def added(kept: EndedTasks, clock: HandClock, name: str, result: bytes | None, key: str | None) -> Task:
    """End a task now and give it."""
    task = Task(name, None, clock(), key=None if key is None else Key(key, b""), started_at=clock(), ended_at=clock())
    task.outcome, task.result = ("succeeded", result) if result is not None else ("failed", None)
    kept.add(task)
    return task


def test_the_last_thousand_are_kept(kept: EndedTasks, add: Add) -> None:
    """The oldest goes first, with its result."""
    for number in range(KEPT_TASKS + 1):
        add(str(number))
    assert len(list(kept)) == KEPT_TASKS == 1000
    assert (kept.find("0"), kept.find("1") is not None) == (None, True)
    assert kept._result_bytes == KEPT_TASKS


def test_an_hour_is_kept(kept: EndedTasks, add: Add, clock: HandClock) -> None:
    """Then it is gone, its key too."""
    add("a", key="k")
    clock.advance(KEPT_SECONDS - 1)
    add("b")
    assert [task.task_id for task in kept] == ["b", "a"]
    clock.advance(1)
    assert [task.task_id for task in kept] == ["b"]
    assert (kept.find("a"), kept.find_key(Key("k", b""))) == (None, None)


def test_results_share_64_mib(kept: EndedTasks, add: Add) -> None:
    """The oldest result is dropped and the task says so; the task itself stays."""
    first = add("first", b"x" * (KEPT_RESULT_BYTES - 10))
    second = add("second", b"x" * 10)
    assert (first.result_dropped, second.result_dropped) == (False, False)
    third = add("third", b"x")
    assert (first.result, first.result_dropped, third.result) == (None, True, b"x")
    assert [task.task_id for task in kept] == ["third", "second", "first"]


def test_a_keyed_task_outlives_the_thousand(kept: EndedTasks, add: Add) -> None:
    """A key is answered for an hour, however many other calls come."""
    add("keyed", key="k")
    for number in range(KEPT_TASKS + 1):
        add(str(number))
    found = kept.find_key(Key("k", b""))
    assert found is not None
    assert found is kept.find("keyed")


def test_keyed_tasks_are_bounded_too(kept: EndedTasks, add: Add) -> None:
    """A client that makes a new key for each call does not fill the memory."""
    for number in range(KEPT_KEYED_TASKS + 1):
        add(str(number), key=str(number))
    assert len(list(kept)) == KEPT_KEYED_TASKS
    assert (kept.find_key(Key("0", b"")), kept.find("0")) == (None, None)


def test_the_last_that_ended_comes_first(kept: EndedTasks, add: Add, clock: HandClock) -> None:
    """Keyed and plain ones in one order."""
    for name, key in (("a", None), ("b", "k"), ("c", None), ("d", "l")):
        add(name, key=key)
        clock.advance(1)
    assert [task.task_id for task in kept] == ["d", "c", "b", "a"]


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.booleans(), st.sampled_from([None, 0, 1, 5, 9]), st.integers(0, 50)),
        max_size=80,
    )
)
def test_the_bounds_hold_whatever_comes(events: list[tuple[int, bool, int | None, int]]) -> None:
    """Number, age and bytes, and the bytes are counted right, in any order of keyed, plain, large and old ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ended, "KEPT_TASKS", 4)
        patch.setattr(ended, "KEPT_KEYED_TASKS", 6)
        patch.setattr(ended, "KEPT_RESULT_BYTES", 20)
        patch.setattr(ended, "KEPT_SECONDS", 100)
        clock = HandClock()
        kept = EndedTasks(clock)
        for number, (key, is_keyed, size, pause) in enumerate(events):
            clock.advance(pause)
            result = None if size is None else b"x" * size
            task = added(kept, clock, str(number), result, f"{key}-{number}" if is_keyed else None)
            assert kept.find(str(number)) is task
            tasks = list(kept)
            assert sum(each.key is None for each in tasks) <= 4
            assert sum(each.key is not None for each in tasks) <= 6
            assert all(clock() - (each.ended_at or 0) < 100 for each in tasks)
            assert sum(len(each.result or b"") for each in tasks) == kept._result_bytes <= 20
            assert [each.ended_at for each in tasks] == sorted((each.ended_at or 0 for each in tasks), reverse=True)
            assert set(kept._by_key.values()) == {each for each in tasks if each.key is not None}
