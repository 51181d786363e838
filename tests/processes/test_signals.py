"""SIGTERM and SIGINT: at any moment, more than once, and where they meet other orders."""

import asyncio
from pathlib import Path
from signal import SIGINT, SIGTERM, Signals
from time import monotonic

import pytest

from tests.processes.adapter_process import AdapterProcess, agent
from tests.processes.conftest import Launch

BUSY_SECONDS = 0.5


async def busy(
    launch: Launch, seconds: float = BUSY_SECONDS, **options: str
) -> tuple[AdapterProcess, asyncio.Task[int]]:
    """Give an adapter with one task, and the status that its caller will get."""
    adapter = await launch(**options)

    async def call() -> int:
        return int((await adapter.execute({"seconds": seconds})).status_code)

    calling = asyncio.create_task(call())
    await adapter.begun()
    return adapter, calling


def drains(adapter: AdapterProcess) -> list[str]:
    """Give the reason of each drain that came to its end."""
    return [line["reason"] for line in adapter.lines if line["message"] == "drained"]


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
async def test_a_signal_is_a_stop(launch: Launch, number: Signals) -> None:
    """The task in hand finishes, exit code 0, and the log tells why it went."""
    adapter, call = await busy(launch)
    adapter.send(number)
    assert (await call, await adapter.exited()) == (200, 0)
    assert drains(adapter) == ["signal"]


async def test_three_tasks_of_different_length_finish(launch: Launch) -> None:
    """F1: new calls get 409 with `Retry-After` meanwhile, and the status says stopping."""
    adapter = await launch(AGENT_MAX_CONCURRENCY="3")
    calls = [asyncio.create_task(adapter.execute({"seconds": seconds})) for seconds in (0.3, 0.6, 0.9)]
    await adapter.begun(3)
    adapter.send(SIGTERM)
    await adapter.said("state changed", lambda line: line["state"] == "stopping")
    refused = await adapter.execute()
    assert (refused.status_code, int(refused.headers["Retry-After"]) >= 1) == (409, True)
    assert (await adapter.status())["status"] == "stopping"
    assert [(await call).status_code for call in calls] == [200, 200, 200]
    assert await adapter.exited() == 0


async def test_a_second_sigterm_changes_nothing(launch: Launch) -> None:
    """F7: the kubelet may repeat its sequence; one drain, one exit."""
    adapter, call = await busy(launch)
    adapter.send(SIGTERM)
    await adapter.said("state changed", lambda line: line["state"] == "stopping")
    deadline = (await adapter.status())["drain"]["deadline"]
    adapter.send(SIGTERM)
    assert (await adapter.status())["drain"]["deadline"] == deadline
    assert (await call, await adapter.exited(), drains(adapter)) == (200, 0, ["signal"])


async def test_a_second_sigint_leaves_at_once(launch: Launch) -> None:
    """Exit code 130, whatever is in hand."""
    adapter, call = await busy(launch, seconds=60)
    adapter.send(SIGINT)
    await adapter.said("state changed", lambda line: line["state"] == "stopping")
    began = monotonic()
    adapter.send(SIGINT)
    assert await adapter.exited() == 130
    assert monotonic() - began < 2
    call.cancel()


async def test_sigterm_and_sigint_are_not_twice_the_same(launch: Launch) -> None:
    """Only a second SIGINT is impatience."""
    adapter, call = await busy(launch)
    for number in (SIGINT, SIGTERM, SIGTERM):
        adapter.send(number)
    assert (await call, await adapter.exited()) == (200, 0)


async def test_a_signal_and_a_stop_are_one_drain(launch: Launch) -> None:
    """F7: in either order; the reason is the signal's."""
    adapter, call = await busy(launch)
    adapter.send(SIGTERM)
    await adapter.said("state changed", lambda line: line["state"] == "stopping")
    assert (await adapter.act("stop"))["drain"]["reason"] == "signal"
    assert (await call, await adapter.exited(), drains(adapter)) == (200, 0, ["signal"])


@pytest.mark.parametrize("last", ["stop", "signal"])
async def test_the_last_word_is_to_leave(launch: Launch, last: str) -> None:
    """F7: a stop or a signal during a restart: exit 0, no new process."""
    adapter, call = await busy(launch)
    await adapter.act("restart")
    if last == "stop":
        await adapter.act("stop")
    else:
        adapter.send(SIGTERM)
    assert (await call, await adapter.exited(), drains(adapter)) == (200, 0, [last])
    assert [line["message"] for line in adapter.lines].count("listening") == 1


@pytest.mark.parametrize("delay", [0.02, 0.05, 0.15, 0.3, 0.5])
async def test_a_signal_while_it_starts_ends_it(tmp_path: Path, delay: float) -> None:
    """F7: within 2 s, as if it had come later; before Python itself is there, by the kernel."""
    async with agent(tmp_path, "sample:work", up=False) as adapter:
        await asyncio.sleep(delay)  # the moment is what is tested: nothing is waited for
        began = monotonic()
        adapter.send(SIGTERM)
        code = await adapter.exited()
        assert code == 0 or (code == -SIGTERM and not adapter.lines)
        assert monotonic() - began < 2 + 3  # this machine may be busy with other tests
        assert adapter.stderr == ""


async def test_a_signal_during_a_slow_import_ends_it(launch: Launch) -> None:
    """Alive from the first moment, and it does not wait for the import, which may last."""
    adapter = await launch("slow_import:echo", up=False)
    await adapter.listening()
    await adapter.said("importing")
    assert (await adapter.client.get("/health")).status_code == 200
    assert (await adapter.client.get("/ready")).status_code == 503
    assert (await adapter.status())["status"] == "starting"
    began = monotonic()
    adapter.send(SIGTERM)
    assert await adapter.exited() == 0
    assert monotonic() - began < 2


@pytest.mark.parametrize("delay", [0, 0.002, 0.01, 0.1])
async def test_a_signal_between_two_lives_is_obeyed(launch: Launch, delay: float) -> None:
    """It comes as the one process becomes the other: not lost, and not the kernel's -15."""
    adapter = await launch("sample:echo")
    await adapter.act("restart")
    await adapter.said("restarting")
    await asyncio.sleep(delay)  # the moment is what is tested: nothing is waited for
    adapter.send(SIGTERM)
    assert (await adapter.exited(), adapter.stderr) == (0, "")
