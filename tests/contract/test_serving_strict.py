"""What is refused in front of the application, as bytes on a real socket: each form is a way to smuggle or to flood."""

import asyncio
import json

import pytest
from agent_contract.http_head import MAX_HEAD_BYTES

from tests.contract.serving_rig import both_loops, serving

pytestmark = both_loops

HOST = b"Host: t\r\n"
UNSOUND = {
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
    "two hosts in 1.0": b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "a host that is a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a host with user info": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "two hosts in one": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "length, then chunked": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, then length": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "a list of lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -3\r\n\r\nabc",
    "a huge length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "another coding": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk size": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size that overflows": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na",
    "bare line feeds": b"GET / HTTP/1.1\nHost: t\n\n",
    "a folded line": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "space before a colon": b"GET / HTTP/1.1\r\nHost : t\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\n" + HOST + b"x\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "a bare CR in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    **{
        f"{byte:#04x} in the path": b"GET /a%cb HTTP/1.1\r\n%b\r\n" % (byte, HOST)
        for byte in (0, 1, 9, 0x1F, 0x20, 0x7F, 0xFF)
    },
    "version 2": b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    "the start of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 0.9": b"GET /\r\n\r\n",
    "version 1.2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT t:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no path": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "an odd target": b"GET t:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unknown method": b"FOO / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "an SSH client": b"SSH-2.0-OpenSSH_9.6\r\n",
    "noise": bytes(range(255, 0, -1)),
}


@pytest.mark.parametrize("request_", UNSOUND.values(), ids=UNSOUND.keys())
async def test_what_is_unsound_is_refused_and_the_connection_closed(request_: bytes) -> None:
    """The client gets a 400 problem, the connection ends, and nothing reaches a handler as a whole request."""
    async with serving() as rig:
        client = await rig.connect()
        client.send(request_)
        got = await client.answer()
        problem = json.loads(got.body)
        assert (got.status, got.closes, got.headers["content-type"]) == (400, True, "application/problem+json")
        assert (problem["type"], problem["title"], problem["status"], problem["code"]) == (
            "about:blank",
            "Bad Request",
            400,
            "bad-request",
        )
        assert problem["detail"]
        assert await client.until_closed() == b""
        assert rig.app.done == 0
        assert (await rig.call()).status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: [::1]:8100\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: agent-1.ns.svc:80\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n",
        b"GET //a/../b;c?d=e#f HTTP/1.1\r\nHost: t\r\nX: \xff\t a\r\n\r\n",
    ],
)
async def test_what_is_odd_and_sound_is_served(head: bytes) -> None:
    """Strictness costs no honest client."""
    async with serving() as rig:
        client = await rig.connect()
        client.send(head.replace(b"GET //a", b"GET /echo//a"))
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("way", ["one header", "many headers", "the path", "byte by byte", "behind another request"])
async def test_a_head_that_is_too_long_gets_431(way: str) -> None:
    """64 KiB is the end, however the head comes; it is never kept whole for long."""
    long = b"x" * MAX_HEAD_BYTES
    head = {
        "one header": b"GET / HTTP/1.1\r\nHost: t\r\nX: " + long + b"\r\n\r\n",
        "many headers": b"GET / HTTP/1.1\r\nHost: t\r\n" + b"X-Y: 1234567\r\n" * 5000 + b"\r\n",
        "the path": b"GET /" + long + b" HTTP/1.1\r\nHost: t\r\n\r\n",
        "byte by byte": b"GET / HTTP/1.1\r\nHost: t\r\nX: " + long + b"\r\n\r\n",
        "behind another request": b"GET / HTTP/1.1\r\nHost: t\r\n\r\nGET / HTTP/1.1\r\nHost: t\r\nX: "
        + long
        + b"\r\n\r\n",
    }[way]
    async with serving() as rig:
        client = await rig.connect()
        for start in range(0, len(head), 1000 if way == "byte by byte" else len(head)):
            client.send(head[start : start + (1000 if way == "byte by byte" else len(head))])
            await asyncio.sleep(0)
        if way == "behind another request":
            assert (await client.answer()).status == 200
        got = await client.answer()
        assert (got.status, json.loads(got.body)["code"], got.closes) == (431, "bad-request", True)


@pytest.mark.parametrize(
    "flood",
    [
        b"\r\n" * MAX_HEAD_BYTES,
        b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * MAX_HEAD_BYTES * 6,
        b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * MAX_HEAD_BYTES,
    ],
    ids=["blank lines", "a chunk extension", "trailers"],
)
async def test_framing_without_end_is_refused(flood: bytes) -> None:
    """What is neither head nor body is bounded too."""
    async with serving() as rig:
        client = await rig.connect()
        client.send(flood)
        assert (await client.answer()).status in (400, 431)


async def test_a_head_just_below_the_limit_is_served() -> None:
    """A long cookie or trace state is no attack; behind a large body, in one piece with it, neither."""
    async with serving() as rig:
        client = await rig.connect()
        client.request(body=b"x" * 200_000, headers=f"X: {'y' * (MAX_HEAD_BYTES - 200)}\r\n")
        client.request(body=b"next")
        assert len((await client.answer()).body) == 200_000
        assert (await client.answer()).body == b"next"


async def test_a_broken_request_behind_a_sound_one_is_refused_behind_its_answer() -> None:
    """The 400 of the second is not taken for the answer to the first."""
    async with serving() as rig:
        client = await rig.begun()
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        await rig.settle()
        rig.app.release.set()
        assert [(await client.answer()).status, (await client.answer()).status] == [200, 400]


async def test_a_broken_body_behind_a_sound_request_never_reaches_a_handler() -> None:
    """A waiting request whose body turns out broken is refused in its turn, not begun."""
    async with serving() as rig:
        client = await rig.begun()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        await rig.settle()
        rig.app.release.set()
        assert [(await client.answer()).status, (await client.answer()).status] == [200, 400]
        assert len(rig.app.scopes) == 1


async def test_a_body_that_breaks_off_is_refused_and_its_handler_told() -> None:
    """The handler that waits for the body hears that its client has gone; the client gets its 400."""
    async with serving() as rig:
        client = await rig.connect()
        client.send(b"POST /gone HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n")
        assert (await client.answer()).status == 400
        async with asyncio.timeout(5):
            await rig.app.disconnected.wait()


async def test_a_body_that_breaks_behind_its_answer_gets_no_second_one() -> None:
    """An answer that was given early stays the only one."""
    async with serving() as rig:
        client = await rig.connect()
        client.send(b"POST /early HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        assert (await client.answer()).status == 409
        client.send(b"zz\r\n")
        assert await client.until_closed() == b""


@pytest.mark.parametrize("last", ["Connection: close\r\n", "Expect: 100-continue\r\n"])
async def test_nothing_is_served_behind_the_last_request(last: str) -> None:
    """What comes behind a request whose answer is to be the last is not a request (RFC 9112, 9.6)."""
    async with serving() as rig:
        client = await rig.connect()
        client.request("/hold", headers=last)
        client.request(body=b"smuggled")
        await rig.settle()
        rig.app.release.set()
        assert (await client.answer()).body == b"held"
        assert await client.until_closed() == b""
        assert len(rig.app.scopes) == 1
