"""Calls whose answer is lost: told as unknown, never repeated, and no others are lost behind them."""

import asyncio

from agent_manager.agent_client import CallTimedOut, ConnectionLost

from tests.manager.fake_adapter import Call, answer_at_once, never_answer
from tests.manager.manager_rig import ManagerRig


async def hang_up(call: Call) -> None:
    """End the call's own connection."""
    call.send.__self__.transport.abort()  # type: ignore[attr-defined]  # the socket  # the exchange


async def test_a_call_whose_connection_ends_is_unknown_and_not_repeated(rig: ManagerRig) -> None:
    """It may have been worked on; the client gets its task's id to ask for."""
    adapters = [await rig.adapter(), await rig.adapter()]
    for adapter in adapters:

        async def drop(call: Call) -> None:
            call.adapter.drop_connections()

        adapter.execute = drop
    answer = await rig.execute()
    assert answer.status_code == 502
    problem = answer.json()
    assert (problem["code"], problem["outcome"]) == ("outcome-unknown", "unknown")
    assert problem["taskId"] == answer.headers["x-task-id"]
    assert "started" not in problem
    assert sum(len(adapter.calls) for adapter in adapters) == 1


async def test_a_lost_call_takes_the_idle_connections_with_it(rig: ManagerRig) -> None:
    """A process that is killed closes its sockets one after the other: the next call must not meet another of them."""
    adapter = await rig.adapter()
    both = asyncio.Barrier(2)

    async def together(call: Call) -> None:
        await both.wait()
        await call.answer()

    adapter.execute = together
    await asyncio.gather(rig.execute(), rig.execute())
    idle = rig.parts.client._pool(rig.instance(adapter).origin)._idle
    assert len(idle) == 2
    adapter.execute = hang_up
    assert (await rig.execute()).status_code == 502
    assert len(idle) == 0


async def test_a_call_lost_in_silence_is_a_504(rig: ManagerRig) -> None:
    """The prober gives a call up of which nothing was heard for a TTL; the connection itself never ended."""
    adapter = await rig.adapter()
    adapter.execute = never_answer
    call = asyncio.create_task(rig.execute())
    await adapter.arrival()
    (in_hand,) = rig.instance(adapter).calls
    in_hand.abort(CallTimedOut("nothing was heard"))
    answer = await call
    assert (answer.status_code, answer.json()["code"]) == (504, "outcome-unknown")


async def test_a_call_whose_instance_was_replaced_is_unknown(rig: ManagerRig) -> None:
    """Another life at the URL means that the one with the call is gone."""
    adapter = await rig.adapter()
    adapter.execute = never_answer
    call = asyncio.create_task(rig.execute())
    await adapter.arrival()
    (in_hand,) = rig.instance(adapter).calls
    in_hand.abort(ConnectionLost("another life answers"))
    assert (await call).status_code == 502


async def test_a_garbled_answer_is_unknown(rig: ManagerRig) -> None:
    """What came cannot be handed on, and the work may have been done."""
    adapter = await rig.adapter()

    async def garble(call: Call) -> None:
        call.send.__self__.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n")  # type: ignore[attr-defined]  # the socket
        call.adapter.drop_connections()

    adapter.execute = garble
    answer = await rig.execute()
    assert (answer.status_code, answer.json()["code"]) == (502, "outcome-unknown")


async def test_an_instance_that_lost_a_call_gets_no_other_until_it_answers(rig: ManagerRig) -> None:
    """It may be dying: the next call goes elsewhere, and back to it once a probe was answered."""
    doubtful, other = await rig.adapter(), await rig.adapter()
    doubtful.silent = True
    doubtful.execute = hang_up
    other.execute = hang_up
    while not doubtful.calls:
        assert (await rig.execute()).status_code in (200, 502)
        other.execute = answer_at_once
    for _ in range(4):
        assert (await rig.execute()).status_code == 200
    assert len(doubtful.calls) == 1


async def test_a_single_instance_that_lost_a_call_is_waited_for(rig: ManagerRig) -> None:
    """Until its probe was answered, some milliseconds; nobody else is sent into a process that may be dying."""
    adapter = await rig.adapter()
    adapter.execute = hang_up
    assert (await rig.execute()).status_code == 502
    adapter.execute = answer_at_once
    async with asyncio.timeout(1):
        assert (await rig.execute()).status_code == 200
