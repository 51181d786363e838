"""Forwarding: whom a call goes to, what crosses, what comes back."""

import asyncio

import pytest
from agent_contract.identity import is_uuid
from agent_contract.problems import Problem

from tests.manager.fake_adapter import Call
from tests.manager.manager_rig import ALL, ManagerRig


async def test_an_answer_comes_back_byte_for_byte(rig: ManagerRig) -> None:
    """Nothing is decoded on the way: odd spacing and an odd status come back as the adapter wrote them."""
    adapter = await rig.adapter()
    body = b'{ "result" :  [1.0,1e2] , "taskId":"x"}\n'

    async def oddly(call: Call) -> None:
        headers = [(b"content-type", b"application/json;x=1"), (b"content-length", str(len(body)).encode())]
        await call.send({"type": "http.response.start", "status": 422, "headers": headers})
        await call.send({"type": "http.response.body", "body": body})

    adapter.execute = oddly
    answer = await rig.execute()
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (422, body, "application/json;x=1")


async def test_an_answer_says_which_instance_and_which_task(rig: ManagerRig) -> None:
    """The manager makes the task's id, and the adapter gets that one."""
    adapter = await rig.adapter()
    answer = await rig.execute(x_task_id="mine")
    assert answer.headers["x-agent-instance"] == adapter.instance_id
    assert is_uuid(answer.headers["x-task-id"])
    assert adapter.calls[0].task_id == answer.headers["x-task-id"]


async def test_the_body_arrives_as_it_was_sent(rig: ManagerRig) -> None:
    """The adapter reads the very bytes of the client."""
    adapter = await rig.adapter()
    body = b'{"parameters" : { } }'
    await rig.client.post(f"{ALL}/echo/execute", content=body)
    assert adapter.calls[0].body == body


async def test_what_means_something_crosses_and_the_rest_does_not(rig: ManagerRig) -> None:
    """An allow-list: trace context and preferences cross, credentials, cookies and the hop's own headers do not."""
    adapter = await rig.adapter()
    crossing = {
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=1",
        "baggage": "b=2",
        "prefer": "wait=3",
        "accept": "application/json",
    }
    kept = {"authorization": "Bearer x", "cookie": "a=b", "x-manager-token": "t", "te": "trailers", "x-own": "1"}
    await rig.client.post(f"{ALL}/echo/execute", json={"parameters": {}}, headers={**crossing, **kept})
    arrived = adapter.calls[0].headers
    assert {name: arrived.get(name) for name in crossing} == crossing
    assert [name for name in kept if name in arrived] == []


async def test_headers_that_mean_something_come_back_and_the_rest_does_not(rig: ManagerRig) -> None:
    """The way back has an allow-list too."""
    adapter = await rig.adapter()
    adapter.execute = lambda call: call.answer(headers={"Retry-After": "3", "Set-Cookie": "a=b", "X-Own": "1"})
    answer = await rig.execute()
    assert answer.headers["retry-after"] == "3"
    assert "set-cookie" not in answer.headers
    assert "x-own" not in answer.headers


async def test_a_task_that_runs_on_is_found_through_the_manager(rig: ManagerRig) -> None:
    """`Location` leads to the manager, where the client came from."""
    adapter = await rig.adapter()

    async def accept(call: Call) -> None:
        await call.answer(
            status=202, headers={"Location": f"/tasks/{call.task_id}", "Preference-Applied": "respond-async"}
        )

    adapter.execute = accept
    answer = await rig.execute(prefer="respond-async")
    assert answer.headers["location"] == f"{ALL}/echo/tasks/{answer.headers['x-task-id']}"
    assert answer.headers["preference-applied"] == "respond-async"


async def test_calls_go_where_the_fewest_are_in_hand(rig: ManagerRig) -> None:
    """A busy instance gets no second call while another has none."""
    adapters = [await rig.adapter(), await rig.adapter()]
    release = asyncio.Event()

    async def wait(call: Call) -> None:
        await release.wait()
        await call.answer()

    for adapter in adapters:
        adapter.execute = wait
    calls = [asyncio.create_task(rig.execute()) for _ in range(4)]
    for adapter in adapters:
        await adapter.arrival(2)
    release.set()
    assert [answer.status_code for answer in await asyncio.gather(*calls)] == [200] * 4
    assert [len(adapter.calls) for adapter in adapters] == [2, 2]


@pytest.mark.parametrize("code", ["paused", "stopping", "starting", "at-capacity"])
async def test_a_refused_call_is_tried_elsewhere(rig: ManagerRig, code: str) -> None:
    """The adapter's word that no work began makes it safe."""
    adapters = [await rig.adapter(), await rig.adapter()]
    adapters[0].execute = lambda call: call.refuse(code)
    answers = [await rig.execute() for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(adapters[1].calls) == 2
    assert len(adapters[0].calls) >= 1


async def test_a_call_that_found_nobody_listening_is_tried_elsewhere(rig: ManagerRig) -> None:
    """No connection, no work; and the dead instance is not asked again."""
    dead, alive = await rig.adapter(), await rig.adapter()
    await dead.stop()
    answers = [await rig.execute() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len(alive.calls) == 4
    assert not rig.instance(dead).reachable


async def test_the_last_refusal_is_what_the_client_gets(rig: ManagerRig) -> None:
    """Byte for byte, with the header that proves that no work began; each instance is asked once."""
    adapters = [await rig.adapter(), await rig.adapter()]
    for adapter in adapters:
        adapter.execute = lambda call: call.refuse("at-capacity")
    answer = await rig.execute()
    assert answer.status_code == 503
    assert answer.json()["code"] == "at-capacity"
    assert answer.json()["started"] is False
    assert answer.headers["x-agent-refused"] == "at-capacity"
    assert answer.headers["retry-after"] == "1"
    assert [len(adapter.calls) for adapter in adapters] == [1, 1]


@pytest.mark.parametrize(("code", "status"), [("agent-failed", 500), ("task-timeout", 504), ("upstream-busy", 503)])
async def test_a_failure_of_work_that_began_is_not_tried_elsewhere(rig: ManagerRig, code: str, status: int) -> None:
    """Without the adapter's word nobody knows that nothing began."""
    adapters = [await rig.adapter(), await rig.adapter()]

    async def fail(call: Call) -> None:
        problem = Problem(code, "it went wrong", status=status)
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(problem.body())).encode()),
        ]
        await call.send({"type": "http.response.start", "status": status, "headers": headers})
        await call.send({"type": "http.response.body", "body": problem.body()})

    for adapter in adapters:
        adapter.execute = fail
    answer = await rig.execute()
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert sum(len(adapter.calls) for adapter in adapters) == 1


async def test_an_unknown_agent_is_told_so(rig: ManagerRig) -> None:
    """404, not a 503 that invites to try again."""
    answer = await rig.execute("nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-agent")


async def test_a_paused_agent_refuses_by_itself(rig: ManagerRig) -> None:
    """The adapter alone decides the 409: the client gets its very words, at once."""
    await rig.adapter(status="paused")
    answer = await rig.execute()
    assert (answer.status_code, answer.json()["code"]) == (409, "paused")
    assert answer.headers["x-agent-refused"] == "paused"


async def test_a_client_that_leaves_does_not_stop_the_work(rig: ManagerRig) -> None:
    """The answer is read to its end and dropped; the connection to the instance serves the next call."""
    adapter = await rig.adapter()
    release, done = asyncio.Event(), asyncio.Event()

    async def wait(call: Call) -> None:
        await release.wait()
        await call.answer()
        done.set()

    adapter.execute = wait
    call = asyncio.create_task(rig.execute())
    await adapter.arrival()
    call.cancel()
    await asyncio.wait((call,))
    release.set()
    await asyncio.wait_for(done.wait(), 5)
    answer = await rig.execute()
    assert answer.status_code == 200
    assert _counted(await _metrics(rig), "499") == 1


async def test_a_body_over_the_limit_is_refused_at_once(rig: ManagerRig) -> None:
    """Its declared length is enough: nothing of it is read."""
    await rig.adapter()
    answer = await rig.client.post(f"{ALL}/echo/execute", content=b"x" * (10 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


async def test_calls_are_counted_by_status(rig: ManagerRig) -> None:
    """One series for each status, an empty agent for one that does not exist."""
    await rig.adapter()
    await rig.execute()
    await rig.execute("nobody")
    page = await _metrics(rig)
    assert 'agent_manager_forward_requests_total{agent="echo",code="200"} 1.0' in page
    assert 'agent_manager_forward_requests_total{agent="",code="404"} 1.0' in page
    assert 'agent_manager_forward_duration_seconds_count{agent="echo"} 1.0' in page


async def test_tries_after_one_that_began_no_work_are_counted(rig: ManagerRig) -> None:
    """By why the first one began none."""
    adapters = [await rig.adapter(), await rig.adapter()]
    adapters[0].execute = lambda call: call.refuse("at-capacity")
    for _ in range(2):
        await rig.execute()
    assert 'forward_retries_total{agent="echo",reason="at-capacity"} 1.0' in await _metrics(rig)


async def test_nothing_is_left_in_hand(rig: ManagerRig) -> None:
    """However calls end, they are off the books."""
    adapter = await rig.adapter()
    await rig.execute()
    adapter.execute = lambda call: call.refuse("at-capacity")
    await rig.execute()
    assert rig.instance(adapter).calls == set()
    assert rig.manager.dispatcher.idle


async def _metrics(rig: ManagerRig) -> str:
    return (await rig.client.get("/metrics")).text


def _counted(page: str, code: str) -> float:
    lines = [line for line in page.splitlines() if f'forward_requests_total{{agent="echo",code="{code}"}}' in line]
    return float(lines[0].split()[-1]) if lines else 0.0
