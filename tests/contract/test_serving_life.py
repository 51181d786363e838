"""A server's start, and answers that close from the order to drain until it is called off."""

import asyncio
from contextlib import ExitStack

import pytest
from agent_contract.asgi import Receive, Scope, Send
from agent_contract.serving import Server, StartFailed, listen

from tests.contract.serving_app import Application
from tests.contract.serving_rig import both_loops, serving

pytestmark = both_loops


async def test_the_lifespan_is_run_and_its_state_is_in_the_scope() -> None:
    """The application starts before the first request and ends after the last."""

    class Stateful(Application):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                scope["state"]["ready"] = True
            await super().__call__(scope, receive, send)

    async with serving(Stateful()) as rig:
        assert rig.app.life == ["lifespan.startup"]
        await rig.call()
        assert rig.app.scopes[0]["state"] == {"ready": True}
        await rig.server.leave()
        assert rig.app.life == ["lifespan.startup", "lifespan.shutdown"]


async def _fails_in_words(scope: Scope, receive: Receive, send: Send) -> None:
    del scope
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "Traceback\nValueError: no model"})
    raise ValueError("no model")


async def _fails_by_raising(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, send
    await receive()
    raise ValueError("no model")


async def _returns(scope: Scope, receive: Receive, send: Send) -> None:
    pass


@pytest.mark.parametrize(
    ("app", "said"), [(_fails_in_words, "no model"), (_fails_by_raising, "no model"), (_returns, "unanswered")]
)
async def test_an_application_that_does_not_start_fails_the_start(app: object, said: str) -> None:
    """The reason is in the error, and nothing is served."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(listening) for listening in listen("127.0.0.1", 0)]
        with pytest.raises(StartFailed, match=said):
            await Server(app, sockets).start()  # type: ignore[arg-type]  # an application all the same


async def test_connections_made_before_the_start_are_served() -> None:
    """Who connects while the process still starts waits in the backlog and is answered."""
    app = Application()
    sockets = listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
    writer.write(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    server = Server(app, sockets)
    await server.start()
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    await server.leave()


async def test_answers_close_from_the_order_on_until_it_is_called_off() -> None:
    """A drain makes each answer its connection's last, also of a request that was begun before; reopening undoes it."""
    async with serving() as rig:
        idle = await rig.connect()
        await idle.call()
        held = await rig.begun()
        rig.server.close_after_answers()
        assert (await rig.call()).closes
        assert (await idle.call()).closes
        assert await idle.until_closed() == b""
        rig.app.release.set()
        assert (await held.answer()).closes
        rig.app.release.clear()
        again = await rig.begun()
        rig.server.reopen()
        rig.app.release.set()
        assert not (await again.answer()).closes
        assert not (await again.call()).closes


async def test_the_last_of_a_pipeline_says_close() -> None:
    """Requests that came behind one another are all answered during a drain; only the last answer says close."""
    async with serving() as rig:
        client = await rig.begun()
        rig.server.close_after_answers()
        for _ in range(2):
            client.request(body=b"x")
        await rig.settle()
        rig.app.release.set()
        assert [(await client.answer()).closes for _ in range(3)] == [False, False, True]


async def test_an_application_can_ask_whether_its_client_has_left() -> None:
    """The answer is there at once, without waiting for a message."""
    async with serving() as rig:
        client = await rig.begun("/gone")
        gone = rig.app.scopes[0]["extensions"]["agent_contract.gone"]
        assert not gone()
        client.writer.transport.abort()
        async with asyncio.timeout(5):
            await rig.app.disconnected.wait()
        assert gone()
