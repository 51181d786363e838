"""What crosses between a client and an agent: no credential goes there, no order to a browser comes back."""

import asyncio
from functools import partial

import pytest
from agent_contract.identity import new_id

from tests.manager.fake_adapter import Call
from tests.manager.manager_rig import ALL, running_manager

CREDENTIALS = (
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "X-Manager-Token",
    "X-API-Key",
    "X-CSRF-Token",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "Forwarded",
    "Referer",
)
ORDERS = (
    "Set-Cookie",
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Credentials",
    "Clear-Site-Data",
    "Refresh",
    "Proxy-Authenticate",
    "Service-Worker-Allowed",
    "Link",
    "Location",
    "Upgrade",
    "Keep-Alive",
)
MARK = "crossed-7c1f"


async def test_no_credential_of_a_client_reaches_an_agent() -> None:
    """Nothing of what a client or a proxy before it says of itself is among the headers that the agent gets."""
    async with running_manager() as rig:
        adapter = await rig.adapter()
        await rig.client.post(
            f"{ALL}/echo/execute",
            json={"parameters": {}},
            headers=dict.fromkeys(CREDENTIALS, MARK) | {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
        )
        assert len(adapter.calls) == 1
        assert "traceparent" in adapter.calls[0].headers
        assert [name for name, value in adapter.calls[0].headers.items() if MARK in value] == []


@pytest.mark.parametrize("status", [200, 302, 401, 422, 500])
async def test_no_order_of_an_agent_reaches_a_browser(status: int) -> None:
    """Whatever the agent's answer is, its cookies and policies stay behind."""
    async with running_manager() as rig:
        adapter = await rig.adapter()
        headers = dict.fromkeys(ORDERS, f"https://{MARK}")
        adapter.execute = lambda call: call.answer(status=status, headers=headers)
        answer = await rig.execute()
        assert adapter.calls
        assert [name for name, value in answer.headers.items() if MARK in value] == []


@pytest.mark.parametrize(
    "location", ["https://evil.test", "//evil.test", "/tasks/..", "/tasks/a/../b", "/tasks/%2e%2e", "/tasks/", "/info"]
)
async def test_an_agent_sends_its_caller_to_no_other_place(location: str) -> None:
    """A place that is no task of its own stays behind; one that is becomes a path of the manager."""
    async with running_manager() as rig:
        adapter = await rig.adapter()
        task = f"/tasks/{new_id()}"
        for given, shown in ((location, None), (task, f"{ALL}/echo{task}")):
            adapter.execute = partial(Call.answer, status=202, headers={"Location": given})
            assert (await rig.execute()).headers.get("location") == shown


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "task_id",
    [
        "..",
        ".",
        "%2e%2e",
        "..%2fexecute",
        "%2e%2e%2fexecute",
        "a%2fb",
        "a%5cb",
        "a%3fb=c",
        "a%23b",
        "a%00b",
        "a%0d%0aX:%20y",
        "%252e%252e",
        "%ff",
    ],
)
async def test_no_id_of_a_task_is_another_path_at_the_agent(method: str, task_id: str) -> None:
    """It is a task that nobody has; the agent is not asked."""
    async with running_manager() as rig:
        adapter = await rig.adapter()
        port = int(rig.url.rpartition(":")[2])
        before = list(adapter.requests)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"{method} {ALL}/echo/tasks/{task_id} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
        assert [one for one in adapter.requests[len(before) :] if "tasks" in one or "execute" in one] == []
