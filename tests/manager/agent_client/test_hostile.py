"""Answers that are broken, or meant to break us: each ends in one definite way, and none takes more than its bounds."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from agent_manager.agent_client import AgentClient, BadResponse, CallError, ConnectionLost

from tests.manager.agent_client.scripted_instance import GOOD, Peer, Script, closing, endless, instance

MAX_BODY_BYTES = 1 << 20
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
BOMB = gzip.compress(bytes(64 << 20))


BAD: dict[str, tuple[Script, str]] = {
    "length and coding": (OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "content-length"),
    "coding and length": (OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\nhi", "transfer-encoding"),
    "two lengths": (OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nhi!", "duplicate content-length"),
    "list of lengths": (OK + b"content-length: 2, 3\r\n\r\nhi!", "content-length"),
    "negative length": (OK + b"content-length: -2\r\n\r\nhi", "content-length"),
    "signed length": (OK + b"content-length: +2\r\n\r\nhi", "content-length"),
    "hexadecimal length": (OK + b"content-length: 0x2\r\n\r\nhi", "content-length"),
    "empty length": (OK + b"content-length:\r\n\r\nhi", "content-length"),
    "length over 64 bits": (OK + b"content-length: 99999999999999999999\r\n\r\nhi", "content-length overflow"),
    "length over the bound": (OK + b"content-length: 1048577\r\n\r\n", "over 1048576"),
    "no length and kept alive": (OK + b"content-type: text/plain\r\n\r\nhi", "neither a length nor"),
    "unknown coding": (OK + b"transfer-encoding: gzip\r\n\r\nhi", "Transfer-Encoding b'gzip'"),
    "coding before chunked": (OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding"),
    "coding after chunked": (OK + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "Transfer-Encoding"),
    "chunked twice": (OK + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n", "Transfer-Encoding"),
    "nearly chunked": (OK + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding"),
    "chunked in HTTP/1.0": (b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding"),
    "chunk size not a number": (CHUNKED + b"zz\r\nhi\r\n0\r\n\r\n", "chunk size"),
    "negative chunk size": (CHUNKED + b"-2\r\nhi\r\n0\r\n\r\n", "chunk size"),
    "chunk size over 64 bits": (CHUNKED + b"fffffffffffffffff\r\nhi", "chunk size overflow"),
    "chunk size with a space": (CHUNKED + b"2 \r\nhi\r\n0\r\n\r\n", "chunk size"),
    "chunk longer than its size": (CHUNKED + b"2\r\nhi!\r\n0\r\n\r\n", "chunk"),
    "chunk with bare line feeds": (CHUNKED + b"2\nhi\n0\n\n", "chunk size"),
    "endless chunk extension": (endless(CHUNKED + b"2;", b"x" * 65536), "over 65536 bytes that are no body"),
    "endless trailers": (endless(CHUNKED + b"0\r\n", b"x: y\r\n" * 10000), "over 65536 bytes that are no body"),
    "endless trailer": (endless(CHUNKED + b"0\r\nx: ", b"y" * 65536), "over 65536 bytes that are no body"),
    "endless chunks": (endless(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"), "body is over 1048576"),
    "endless body": (endless(OK + b"connection: close\r\n\r\n", b"x" * 65536), "body is over 1048576"),
    "header of 1 MB": (endless(OK + b"x: ", b"y" * 65536), "over 65536 bytes that are no body"),
    "whole head of 100 kB": (OK + b"x: " + b"y" * 100_000 + b"\r\ncontent-length: 0\r\n\r\n", "over 65536 bytes"),
    "endless headers": (endless(OK, b"x: y\r\n" * 10000), "over 65536 bytes that are no body"),
    "endless status line": (endless(b"HTTP/1.1 200 ", b"O" * 65536), "over 65536 bytes that are no body"),
    "endless interim responses": (endless(b"", b"HTTP/1.1 103 E\r\n\r\n" * 4000), "over 65536 bytes that are no body"),
    "endless empty lines": (endless(b"", b"\r\n" * 30000), "not HTTP"),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00", "not HTTP"),
    "no status line": (b"<html>hi</html>", "not HTTP"),
    "headers alone": (b"host: x\r\n\r\n", "not HTTP"),
    "begins like HTTP": (b"HELLO\r\n\r\n", "http/"),
    "a request": (b"GET / HTTP/1.1\r\n\r\n", "not HTTP"),
    "empty line first": (b"\r\n" + GOOD, "not HTTP"),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "not HTTP"),
    "HTTP/2.0": (b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n", "HTTP/2.0"),
    "HTTP/2.0 after interim": (b"HTTP/1.1 100 C\r\n\r\nHTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n", "HTTP/2.0"),
    "HTTP/0.9": (b"HTTP/0.9 200 OK\r\ncontent-length: 0\r\n\r\n", "HTTP/0.9"),
    "HTTP/1.2": (b"HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n", "http version"),
    "RTSP": (b"RTSP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", "not HTTP"),
    "status of two digits": (b"HTTP/1.1 99 OK\r\ncontent-length: 0\r\n\r\n", "status"),
    "status of four digits": (b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n", "status"),
    "status 099": (b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n", "status 99"),
    "status 999": (b"HTTP/1.1 999 OK\r\ncontent-length: 0\r\n\r\n", "status 999"),
    "switching protocols": (b"HTTP/1.1 101 S\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "status 101"),
    "NUL in a header": (OK + b"x: a\0b\r\ncontent-length: 0\r\n\r\n", "header value"),
    "NUL in a name": (OK + b"x\0y: a\r\ncontent-length: 0\r\n\r\n", "header token"),
    "control character": (OK + b"x: a\x01\r\ncontent-length: 0\r\n\r\n", "header value"),
    "folded header": (OK + b"x: a\r\n b\r\ncontent-length: 0\r\n\r\n", "whitespace after header value"),
    "space before the colon": (OK + b"content-length : 2\r\n\r\nhi", "header"),
    "space before the name": (OK + b" x: a\r\ncontent-length: 0\r\n\r\n", "header|space"),
    "no name": (OK + b": a\r\ncontent-length: 0\r\n\r\n", "header token"),
    "no colon": (OK + b"content-length 2\r\n\r\nhi", "header"),
    "bare line feeds": (b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", "missing expected cr"),
    "bare line feed in the head": (OK + b"x: a\ncontent-length: 0\r\n\r\n", "missing expected cr"),
    "bare carriage return": (OK + b"x: a\rb: c\r\ncontent-length: 0\r\n\r\n", "missing expected lf"),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_answer_is_refused(client: AgentClient, name: str) -> None:
    """The error says what is wrong, the connection is closed, and the next call has another."""
    script, reason = BAD[name]
    async with instance(script) as there:
        async with asyncio.timeout(5):
            with pytest.raises(BadResponse, match=f"cannot read the response: .*({reason})"):
                await client.call(there.origin, "POST", "/execute").response()
            await there.peers[0].gone.wait()
        assert (await client.call(there.origin, "GET", "/").response()).body == b"hi"
        assert len(there.peers) == 2


LOST: dict[str, tuple[Script, str]] = {
    "nothing": (closing(b""), "before its head"),
    "half a status line": (closing(b"HTTP/1."), "before its head"),
    "half a head": (closing(OK + b"content-le"), "before its head"),
    "only interim": (closing(b"HTTP/1.1 100 Continue\r\n\r\n"), "before its head"),
    "half a body": (closing(OK + b"content-length: 10\r\n\r\nhello"), "after 5 bytes of its body"),
    "no body": (closing(OK + b"content-length: 10\r\n\r\n"), "after 0 bytes of its body"),
    "half a chunk": (closing(CHUNKED + b"5\r\nhe"), "after 2 bytes of its body"),
    "chunk without its end": (closing(CHUNKED + b"5\r\nhello\r\n"), "after 5 bytes of its body"),
    "chunks without the last line": (closing(CHUNKED + b"5\r\nhello\r\n0\r\n"), "after 5 bytes of its body"),
    "half a chunk size": (closing(CHUNKED + b"5"), "after 0 bytes of its body"),
}


@pytest.mark.parametrize("name", LOST)
async def test_cut_answer_is_lost(client: AgentClient, name: str) -> None:
    """An answer that ends too soon is never handed on as if it were whole."""
    script, reason = LOST[name]
    async with instance(script) as there:
        with pytest.raises(ConnectionLost, match=f"the connection ended {reason}"):
            await client.call(there.origin, "POST", "/execute").response()


async def test_reset_connection_is_lost(client: AgentClient) -> None:
    """A killed process resets its connections; the error says so."""

    async def reset(peer: Peer) -> None:
        await peer.write(OK)
        peer.writer.transport.abort()

    async with instance(reset, reads_bodies=False) as there:
        with pytest.raises(ConnectionLost, match=r"cannot read the response: .*(ended|reset|pipe)"):
            await client.call(there.origin, "POST", "/execute", body=bytes(8 << 20)).response()


# name: (answer, status, body, whether the connection carries the next call)
TAKEN: dict[str, tuple[Script, int, bytes, bool]] = {
    "plain": (GOOD, 200, b"hi", True),
    "no reason phrase": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", True),
    "chunks": (CHUNKED + b"2\r\nhi\r\n3;a=b\r\n yo\r\n0\r\n\r\n", 200, b"hi yo", True),
    "trailers dropped": (CHUNKED + b"2\r\nhi\r\n0\r\nx-task-id: evil\r\n\r\n", 200, b"hi", True),
    "Chunked in capitals": (OK + b"Transfer-Encoding: CHUNKED\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, b"hi", True),
    "empty header": (OK + b"x-empty:\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", True),
    "continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD, 200, b"hi", True),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 3 + GOOD, 200, b"hi", True),
    "close announced": (OK + b"connection: close\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False),
    "close in a list": (OK + b"connection: x, close\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False),
    "body until the end": (closing(OK + b"connection: close\r\n\r\nhi"), 200, b"hi", False),
    "empty body until the end": (closing(OK + b"connection: close\r\n\r\n"), 200, b"", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False),
    "HTTP/1.0 kept": (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False),
    "HTTP/1.0 after interim": (
        b"HTTP/1.1 100 C\r\n\r\nHTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi",
        200,
        b"hi",
        False,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "no content with a body": (b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nhi", 204, b"", False),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\n\r\n", 304, b"", True),
    "server error": (b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nhi", 500, b"hi", True),
    "bytes after the body": (GOOD + b"more", 200, b"hi", False),
    "line after the body": (GOOD + b"\r\n", 200, b"hi", False),
    "line after the chunks": (CHUNKED + b"2\r\nhi\r\n0\r\n\r\n\r\n", 200, b"hi", False),
    "line after an empty body": (OK + b"content-length: 0\r\n\r\n\r\n", 200, b"", False),
    "another response after the body": (GOOD + b"HTTP/1.1 500 X\r\ncontent-length: 1\r\n\r\n!", 200, b"hi", False),
    "half a response after the body": (GOOD + b"HTTP/1.1 2", 200, b"hi", False),
    "half a response after close": (OK + b"connection: close\r\ncontent-length: 0\r\n\r\nHTTP", 200, b"", False),
    "body that ends in a line": (OK + b"content-length: 4\r\n\r\nhi\r\n", 200, b"hi\r\n", True),
    "body of exactly the bound": (
        OK + b"content-length: 1048576\r\n\r\n" + b"x" * (1 << 20),
        200,
        b"x" * (1 << 20),
        True,
    ),
    "gzip": (
        OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(BOMB) + BOMB,
        200,
        BOMB,
        True,
    ),
}


@pytest.mark.parametrize("name", TAKEN)
async def test_unusual_answer_is_taken_as_documented(client: AgentClient, name: str) -> None:
    """What is whole is handed on unchanged; the connection carries the next call only if nothing is in doubt."""
    script, status, body, reused = TAKEN[name]
    async with instance(script) as there:
        response = await client.call(there.origin, "POST", "/execute").response()
        assert (response.status, response.body) == (status, body)
        assert response.header(b"x-task-id") is None
        assert (await client.call(there.origin, "GET", "/").response()).body == b"hi"
        assert len(there.peers) == (1 if reused else 2)


@pytest.mark.parametrize("body", [b"", b"hello"])
async def test_answer_to_head_has_no_body(client: AgentClient, body: bytes) -> None:
    """The length in the answer to a HEAD is that of a body that does not come, or is not read if it comes."""
    async with instance(OK + b"content-length: 5\r\n\r\n" + body) as there:
        response = await client.call(there.origin, "HEAD", "/").response()
        assert (response.status, response.body, response.header(b"content-length")) == (200, b"", b"5")
        assert (await client.call(there.origin, "GET", "/").response()).body == b"hi"


async def test_slow_head_waits_for_its_caller_to_give_up(client: AgentClient) -> None:
    """An execute has no timeout of its own: a head that never ends is ended by the evidence that its caller has."""

    async def one_header(peer: Peer) -> None:
        await peer.write(OK + b"x: y\r\n")
        call.abort(CallError("no answered probe for one TTL"))
        await peer.wait_gone()

    async with instance(one_header) as there:
        call = client.call(there.origin, "POST", "/execute")
        with pytest.raises(CallError, match="no answered probe"):
            await call.response()
        async with asyncio.timeout(1):
            await there.peers[0].gone.wait()


async def test_endless_body_is_cut_at_the_bound(client: AgentClient) -> None:
    """We stop reading at the bound: the instance cannot send more than that and what sockets hold."""
    sent = 0

    async def pour(peer: Peer) -> None:
        nonlocal sent
        await peer.write(CHUNKED)
        while not peer.writer.is_closing():
            await peer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            sent += 65536

    async with instance(pour) as there:
        with pytest.raises(BadResponse, match="body is over 1048576 bytes"):
            await client.call(there.origin, "POST", "/execute").response()
        await there.peers[0].gone.wait()
        assert sent < MAX_BODY_BYTES + (8 << 20)
