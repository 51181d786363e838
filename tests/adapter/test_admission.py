"""The task table: who runs, who waits, who is refused, and that each task has one end."""

from collections.abc import Callable

import pytest
from agent_adapter.admission import TaskTable
from agent_adapter.tasks import Key, Task
from agent_contract.problems import Problem

from tests.adapter.hand_clock import HandClock

MakeTask = Callable[..., Task]


@pytest.fixture
def changes() -> list[int]:
    """Give the list to which each change adds how many tasks run."""
    return []


@pytest.fixture
def table(clock: HandClock, changes: list[int]) -> TaskTable:
    """Give a table for two running tasks and three waiting ones."""
    made = TaskTable(clock, max_concurrency=2, max_queue=3, on_change=lambda: changes.append(len(made.running)))
    return made


@pytest.fixture
def task(clock: HandClock) -> MakeTask:
    """Give a maker of tasks."""
    return lambda name, **members: Task(name, {}, clock(), **members)


def admitted(table: TaskTable, task: MakeTask, *names: str) -> list[Task]:
    """Admit tasks of these names, in order."""
    tasks = [task(name) for name in names]
    for each in tasks:
        table.admit(each)
    return tasks


def test_tasks_run_as_far_as_there_is_room_and_wait_in_order(table: TaskTable, task: MakeTask) -> None:
    """Two run, the others wait as they came."""
    admitted(table, task, *"abcde")
    assert (list(table.running), list(table.queue)) == (["a", "b"], ["c", "d", "e"])
    assert [each.task_id for each in table.in_hand()] == list("abcde")
    assert table.oldest_running == "a"


def test_one_more_is_refused_with_proof_that_nothing_began(table: TaskTable, task: MakeTask) -> None:
    """503 `at-capacity`; the table is as it was."""
    admitted(table, task, *"abcde")
    with pytest.raises(Problem) as caught:
        table.admit(task("f"))
    problem = caught.value
    assert (problem.code, problem.status, problem.extra) == ("at-capacity", 503, {"started": False})
    assert problem.headers == {"X-Agent-Refused": "at-capacity", "Retry-After": "1"}
    assert table.find("f") is None


def test_whoever_ends_makes_room_for_the_next(table: TaskTable, task: MakeTask) -> None:
    """The one that waited longest starts, and nobody overtakes it."""
    a, *_ = admitted(table, task, *"abcd")
    table.end(a, "succeeded", result=b"1")
    assert (list(table.running), list(table.queue)) == (["b", "c"], ["d"])
    table.admit(task("e"))
    assert list(table.queue) == ["d", "e"]


async def test_a_waiting_task_is_woken_by_its_turn_or_its_end(table: TaskTable, task: MakeTask) -> None:
    """Nobody waits for ever for a turn that does not come."""
    a, _, c, d = admitted(table, task, *"abcd")
    table.end(a, "succeeded", result=b"1")
    table.end(d, "cancelled", problem=Problem("agent-cancelled", "x"))
    for each in (a, c, d):
        await each.may_run()
    assert (c.state, d.state, d.started_at) == ("running", "cancelled", None)


def test_a_task_has_one_outcome(table: TaskTable, task: MakeTask) -> None:
    """The first counts; what comes late changes nothing."""
    a, b, c = admitted(table, task, *"abc")
    assert table.end(a, "timeout", problem=Problem("task-timeout", "x"))
    assert not table.end(a, "succeeded", result=b"1")
    assert (a.outcome, a.result, a.done.is_set()) == ("timeout", None, True)
    assert list(table.running.values()) == [b, c]


@pytest.mark.parametrize("outcome", ["succeeded", "failed", "rejected", "cancelled", "timeout", "interrupted"])
def test_every_outcome_takes_the_task_off(table: TaskTable, task: MakeTask, outcome: str) -> None:
    """The earlier system kept one that failed, and a later stop waited for it."""
    (a,) = admitted(table, task, "a")
    table.end(a, outcome)  # type: ignore[arg-type]  # each of them
    assert (table.idle, table.oldest_running, table.find("a")) == (True, None, a)


def test_while_held_nothing_starts(table: TaskTable, task: MakeTask) -> None:
    """A paused instance keeps what waits, and starts it in order when it goes on."""
    a, b, *_ = admitted(table, task, *"abcd")
    table.hold(True)
    table.end(a, "succeeded", result=b"1")
    table.end(b, "succeeded", result=b"1")
    assert (list(table.running), list(table.queue)) == ([], ["c", "d"])
    table.admit(task("e"))
    table.hold(False)
    assert (list(table.running), list(table.queue)) == (["c", "d"], ["e"])


def test_a_refused_task_leaves_no_trace(table: TaskTable, task: MakeTask) -> None:
    """It was never one of ours: not in the listing, its id and its key free to be tried again."""
    admitted(table, task, *"ab")
    waiting = task("c", key=Key("k", b""))
    table.admit(waiting)
    table.end(waiting, "refused", problem=Problem("stopping", "x"))
    assert (table.find("c"), table.find_key(Key("k", b"")), list(table.ended)) == (None, None, [])


def test_a_key_finds_its_task_in_hand_and_ended(table: TaskTable, task: MakeTask) -> None:
    """Running, waiting, done; and no other."""
    key = Key("k", b"")
    keyed = task("a", key=key)
    table.admit(keyed)
    assert table.find_key(key) is keyed
    table.end(keyed, "succeeded", result=b"1")
    assert table.find_key(key) is keyed
    assert table.find_key(Key("l", b"")) is None


def test_a_key_is_free_when_its_task_was_cut_before_it_began(table: TaskTable, task: MakeTask) -> None:
    """Nothing was done under it; one that had begun keeps its end."""
    begun = task("a", key=Key("begun", b""))
    table.admit(begun)
    admitted(table, task, "b")
    waiting = task("c", key=Key("waiting", b""))
    table.admit(waiting)
    for each in (waiting, begun):
        table.end(each, "interrupted", problem=Problem("drain-timeout", "x"))
    assert table.find_key(Key("begun", b"")) is begun
    assert table.find_key(Key("waiting", b"")) is None
    assert table.find("c") is waiting


def test_what_a_task_held_is_let_go(table: TaskTable, task: MakeTask) -> None:
    """Parameters of thousands of ended tasks would fill the memory."""
    a = task("a", emit=lambda _: None, on_cancel=lambda: None)
    table.admit(a)
    table.end(a, "succeeded", result=b"1")
    assert (a.parameters, a.emit, a.on_cancel) == (None, None, None)


def test_each_change_is_told(table: TaskTable, task: MakeTask, changes: list[int]) -> None:
    """Whoever waits for the table to be idle must be woken by each end."""
    a, b = admitted(table, task, *"ab")
    table.end(a, "succeeded", result=b"1")
    table.end(b, "failed")
    assert changes == [1, 2, 1, 0]


def test_durations_are_counted_from_the_start_of_the_work(table: TaskTable, task: MakeTask, clock: HandClock) -> None:
    """Waiting is not working."""
    a, b, c = admitted(table, task, *"abc")
    clock.advance(5)
    table.end(a, "succeeded", result=b"1")
    clock.advance(2)
    table.end(c, "succeeded", result=b"1")
    assert (a.duration_seconds, c.duration_seconds, b.duration_seconds) == (5, 2, 0)


@pytest.mark.parametrize(
    ("past", "ages", "expected"),
    [
        ([], [0], "1"),  # nothing is known
        ([10] * 5, [4], "6"),  # the median task has 6 s to go
        ([10] * 5, [4, 8], "2"),  # the first of two to end
        ([10] * 5, [9.9], "1"),  # at least a second
        ([1, 1, 100], [50], "50"),  # of those that lasted over 50 s, the median lasts 50 more
        ([2, 4], [60], "3"),  # older than any before: as long as the mean
    ],
)
def test_retry_after_is_an_estimate(
    clock: HandClock, task: MakeTask, past: list[float], ages: list[float], expected: str
) -> None:
    """When a place will be free, from what the agent's tasks took before."""
    table = TaskTable(clock, max_concurrency=len(ages), max_queue=0, on_change=lambda: None)
    for seconds in past:
        table.history.add(seconds)
    for number, age in enumerate(sorted(ages, reverse=True)):
        before = clock.now
        clock.now = before - age
        table.admit(task(str(number)))
        clock.now = before
    with pytest.raises(Problem) as caught:
        table.admit(task("late"))
    assert caught.value.headers["Retry-After"] == expected
