"""Results that were handed over: kept an hour, in bounded memory, found by task and by key."""

from datetime import UTC, datetime

import msgspec
import pytest
from agent_contract.wire import FinishedTask, HandOver
from agent_manager.handed_over import Kept, ResultStore

from tests.manager.stage import Clock

ENDED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    """Give a time that the test moves."""
    return Clock()


def handed(*task_ids: str, agent_id: str = "a", key: str | None = None, result: bytes = b"1") -> HandOver:
    """Give a message with these results."""
    results = [FinishedTask(task_id, "succeeded", ENDED, key, msgspec.Raw(result)) for task_id in task_ids]
    return HandOver(agent_id, "i1", results)


def found(store: ResultStore, task_id: str, agent_id: str = "a") -> Kept:
    """Give a result that must be there."""
    kept = store.find(agent_id, task_id)
    assert kept is not None
    return kept


def test_a_result_is_found_by_its_task(clock: Clock) -> None:
    """With who brought it."""
    store = ResultStore(clock)
    store.keep(handed("t1", result=b'{"x":1}'))
    assert found(store, "t1").task.result == msgspec.Raw(b'{"x":1}')
    assert found(store, "t1").instance_id == "i1"


def test_a_result_is_found_by_its_key(clock: Clock) -> None:
    """Among those of its agent only."""
    store = ResultStore(clock)
    store.keep(handed("t1", key="k"))
    kept = store.find_key("a", "k")
    assert kept is not None
    assert kept.task.task_id == "t1"
    assert store.find_key("b", "k") is None


def test_a_task_of_one_agent_is_none_of_another(clock: Clock) -> None:
    """An agent's own token hands over for that agent only."""
    store = ResultStore(clock)
    store.keep(handed("t1"))
    assert store.find("b", "t1") is None


def test_a_result_is_kept_for_an_hour(clock: Clock) -> None:
    """And no longer."""
    store = ResultStore(clock)
    store.keep(handed("t1", key="k"))
    clock.now += 3599
    assert store.find("a", "t1") is not None
    clock.now += 1
    assert store.find("a", "t1") is None
    assert store.find_key("a", "k") is None
    assert store.size_bytes == 0


def test_the_oldest_goes_when_there_are_too_many_bytes(clock: Clock) -> None:
    """Three results of 1 MB and room for two."""
    store = ResultStore(clock, max_bytes=2_100_000)
    for task_id in ("t1", "t2", "t3"):
        store.keep(handed(task_id, key=task_id, result=b'"' + b"x" * 1_000_000 + b'"'))
    assert store.find("a", "t1") is None
    assert store.find_key("a", "t1") is None
    assert store.find("a", "t3") is not None
    assert store.size_bytes <= 2_100_000


def test_many_empty_results_are_bounded_too(clock: Clock) -> None:
    """Each costs something beside its bytes."""
    store = ResultStore(clock, max_bytes=10 * 1024)
    store.keep(handed(*(f"t{number}" for number in range(50)), result=b""))
    assert len(list(store.list_kept())) == 10


def test_handing_over_again_replaces(clock: Clock) -> None:
    """An adapter whose message was not answered sends it again; to several managers, to each once."""
    store = ResultStore(clock)
    store.keep(handed("t1", key="k", result=b"1"))
    size = store.size_bytes
    store.keep(handed("t1", key="k", result=b"2"))
    assert found(store, "t1").task.result == msgspec.Raw(b"2")
    assert store.size_bytes == size


def test_a_newer_task_has_the_key(clock: Clock) -> None:
    """And keeps it when the older one goes."""
    store = ResultStore(clock)
    store.keep(handed("t1", key="k"))
    clock.now += 10
    store.keep(handed("t2", key="k"))
    clock.now += 3590
    kept = store.find_key("a", "k")
    assert kept is not None
    assert kept.task.task_id == "t2"


def test_the_last_one_is_listed_first(clock: Clock) -> None:
    """Of one agent, or of all."""
    store = ResultStore(clock)
    store.keep(handed("t1"))
    store.keep(handed("t2", agent_id="b"))
    assert [kept.task.task_id for kept in store.list_kept()] == ["t2", "t1"]
    assert [kept.task.task_id for kept in store.list_kept("a")] == ["t1"]


def test_a_result_does_not_keep_the_message_it_came_in(clock: Clock) -> None:
    """A megabyte beside it is freed: what is counted is what is held."""
    store = ResultStore(clock)
    big = b'"' + b"x" * 1_000_000 + b'"'
    text = msgspec.json.encode(HandOver("a", "i1", [FinishedTask("t1", "succeeded", ENDED, None, msgspec.Raw(b"1"))]))
    text = text.replace(
        b'"results":[',
        b'"results":[{"taskId":"t0","state":"succeeded","endedAt":"2026-01-01T00:00:00Z","result":%b},' % big,
    )
    message = msgspec.json.decode(text, type=HandOver)
    store.keep(HandOver(message.id, message.instance_id, message.results[1:]))
    raw = found(store, "t1").task.result
    assert isinstance(raw, msgspec.Raw)
    assert len(memoryview(raw).obj) < 100  # type: ignore[arg-type]  # the buffer that it keeps
