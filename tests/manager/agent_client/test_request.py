"""Requests as the instance gets them, and their responses as the caller does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from agent_manager.agent_client import AgentClient, CallError, CallTimedOut, ConnectFailed, ConnectionLost, Origin

from tests.manager.agent_client.scripted_instance import GOOD, Peer, closing, instance, until_gone

if TYPE_CHECKING:
    from tests.manager.agent_client.conftest import Clock


async def test_request_reaches_the_instance_as_one_message(client: AgentClient) -> None:
    """The request line, the host, the headers in order and the length are what was asked for."""
    async with instance() as there:
        origin = there.origin
        call = client.call(origin, "POST", "/execute", [(b"x-task-id", b"7"), (b"accept", b"*/*")], b'{"a":1}')
        assert not call.started
        response = await call.response()
        assert call.started
        assert (response.status, response.body, response.streaming) == (200, b"hi", False)
        assert response.headers == [(b"content-type", b"text/plain"), (b"content-length", b"2")]
        assert (response.header(b"content-length"), response.header(b"nothing")) == (b"2", None)
        head = f"POST /execute HTTP/1.1\r\nhost: 127.0.0.1:{origin.port}\r\nx-task-id: 7\r\naccept: */*\r\n"
        assert there.requests == [head.encode() + b'content-length: 7\r\n\r\n{"a":1}']


@pytest.mark.parametrize(
    ("method", "length"), [("GET", None), ("DELETE", None), ("POST", b"0"), ("PATCH", b"0"), ("PUT", b"0")]
)
async def test_length_is_sent_where_a_body_is_expected(client: AgentClient, method: str, length: bytes | None) -> None:
    """An empty POST says that it is empty, a GET says nothing."""
    async with instance() as there:
        await client.call(there.origin, method, "/status").response()
        line = b"\r\ncontent-length: 0\r\n"
        assert (line in there.requests[0]) == (length is not None)


async def test_large_body_arrives_whole(client: AgentClient) -> None:
    """A body of 10 MiB arrives byte for byte."""
    body = bytes(range(256)) * 40960
    async with instance() as there:
        assert (await client.call(there.origin, "POST", "/execute", body=body).response()).status == 200
        assert there.requests[0].endswith(b"content-length: 10485760\r\n\r\n" + body)


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/a\r\nx: y", ()),
        ("/a\nb", ()),
        ("/a HTTP/1.1", ()),
        ("a", ()),
        ("http://elsewhere/", ()),
        ("/ä", ()),
        ("/\0", ()),
        ("/", [(b"x", b"a\r\nb: c")]),
        ("/", [(b"x", b"a\nb: c")]),
        ("/", [(b"x", b"a\r")]),
        ("/", [(b"x", b"a\0")]),
        ("/", [(b"x\r\ny", b"a")]),
        ("/", [(b"Content-Length", b"5")]),
        ("/", [(b"transfer-encoding", b"chunked")]),
        ("/", [(b"host", b"elsewhere")]),
    ],
)
async def test_request_that_would_pass_as_two_is_refused(
    client: AgentClient, target: str, headers: list[tuple[bytes, bytes]]
) -> None:
    """Line breaks, other targets and framing headers are refused before anything is sent."""
    with pytest.raises(ValueError, match=r"cannot|ascii"):
        client.call(Origin("127.0.0.1", 9), "GET", target, headers)


async def test_request_times_out_as_a_whole(client: AgentClient) -> None:
    """A slow body does not stretch the time of a request: one timeout covers all of it."""

    async def half(peer: Peer) -> None:
        await peer.write(GOOD[:-1])
        await peer.wait_gone()

    async with instance(half) as there:
        with pytest.raises(CallTimedOut, match=r"cannot get GET /status of http://127.0.0.1:\d+: .* within 0.05 s"):
            await client.request(there.origin, "GET", "/status", timeout_seconds=0.05)
        await until_gone(there.peers[0])


async def test_request_gives_an_event_stream_whole(client: AgentClient) -> None:
    """A probe or action gets a body, whatever its type."""
    async with instance(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 3\r\n\r\n:\n\n"
    ) as there:
        response = await client.request(there.origin, "GET", "/logs", timeout_seconds=5)
        assert (response.streaming, response.body) == (False, b":\n\n")
        with pytest.raises(ValueError, match="body is whole"):
            response.chunks()


async def test_answer_before_the_request_was_read_is_handed_on(client: AgentClient) -> None:
    """An instance that refuses a body unread answers, and its connection is not used again."""
    refusal = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n"

    async def refuse(peer: Peer) -> None:
        await peer.write(refusal)
        await peer.wait_gone()

    async with instance(refuse, reads_bodies=False) as there:
        response = await client.call(there.origin, "POST", "/execute", body=bytes(16 << 20)).response()
        assert response.status == 413
        await until_gone(there.peers[0])


async def test_last_byte_at_moves_with_every_byte(client: AgentClient, clock: Clock) -> None:
    """Dispatch judges a silent call by the time of its last byte."""

    async def slowly(peer: Peer) -> None:
        for byte in GOOD:
            clock.now += 1
            await peer.write(bytes([byte]))
            while call.last_byte_at < clock.now:  # noqa: ASYNC110  # each turn of the loop may bring the byte
                await asyncio.sleep(0)

    async with instance(slowly) as there:
        call = client.call(there.origin, "GET", "/")
        clock.now += 5
        assert (await call.response()).body == b"hi"
        assert call.last_byte_at == clock.now == 1005 + len(GOOD)


async def test_call_is_sent_once(client: AgentClient) -> None:
    """A call that was sent is not sent again, whatever became of it."""
    async with instance(closing(b"")) as there:
        call = client.call(there.origin, "POST", "/execute")
        with pytest.raises(ConnectionLost, match="ended before its head"):
            await call.response()
        with pytest.raises(RuntimeError, match="twice"):
            await call.response()
        assert len(there.requests) == 1


async def test_redirect_and_proxy_settings_are_not_followed(
    client: AgentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Internal calls go where they were sent and nowhere else."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with instance(
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
    ) as there:
        response = await client.call(there.origin, "GET", "/").response()
        assert (response.status, response.header(b"location")) == (307, b"http://127.0.0.1:9/")


async def test_every_error_is_a_call_error() -> None:
    """One `except` catches what can go wrong with a call."""
    assert all(issubclass(each, CallError) for each in (ConnectFailed, ConnectionLost, CallTimedOut))
