"""The server's daily work on real sockets: requests, answers, keep-alive, pipelines, streams, failures."""

import asyncio
import json

import pytest

from tests.contract.serving_rig import both_loops, serving

pytestmark = both_loops


async def test_a_connection_carries_many_requests() -> None:
    """Keep-alive: each gets its own answer, with a Date and without the server's name."""
    async with serving() as rig:
        client = await rig.connect()
        for number in range(3):
            got = await client.call(body=b"%d" % number)
            assert (got.status, got.body, got.closes) == (200, b"%d" % number, False)
            assert got.headers["date"].endswith("GMT")
            assert "server" not in got.headers


async def test_a_chunked_body_arrives_whole() -> None:
    """The application sees the bytes without their framing, and nothing of the trailers."""
    async with serving() as rig:
        client = await rig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Manager-Token: x\r\n\r\n")
        assert (await client.answer()).body == b"abcde"
        assert b"x-manager-token" not in dict(rig.app.scopes[0]["headers"])
        assert (await client.call(body=b"next")).body == b"next"


async def test_a_large_body_is_taken_and_given_back() -> None:
    """Flow control in both directions loses nothing."""
    body = bytes(range(256)) * 20_000
    async with serving() as rig:
        got = await rig.call(body=body)
        assert got.body == body


async def test_the_scope_says_what_was_asked() -> None:
    """Path, raw path and query, of the origin form and of the absolute form."""
    async with serving() as rig:
        client = await rig.connect()
        await client.call("/echo/a%20b%2Fc?x=%31")
        await client.call("http://elsewhere:1/echo?y")
        first, second = rig.app.scopes
        assert (first["path"], first["raw_path"], first["query_string"]) == (
            "/echo/a b/c",
            b"/echo/a%20b%2Fc",
            b"x=%31",
        )
        assert (second["path"], second["query_string"]) == ("/echo", b"y")
        assert (first["method"], first["scheme"], first["http_version"]) == ("POST", "http", "1.1")
        assert first["client"][0] == "127.0.0.1"
        assert first["server"] == ("127.0.0.1", rig.port)


async def test_pipelined_requests_are_answered_in_order() -> None:
    """Requests that come together, bodies included, are answered one after the other."""
    async with serving() as rig:
        client = await rig.connect()
        for number in range(20):
            client.request(body=b"%d" % number)
        assert [(await client.answer()).body for _ in range(20)] == [b"%d" % number for number in range(20)]


async def test_a_pipelined_client_that_goes_is_told_to_the_running_request() -> None:
    """The application learns that its client has gone also when another request waited behind."""
    async with serving() as rig:
        client = await rig.begun("/gone")
        client.request()
        await rig.settle()
        client.writer.transport.abort()
        async with asyncio.timeout(5):
            await rig.app.disconnected.wait()


async def test_a_stream_shows_its_head_and_first_event_at_once() -> None:
    """Nothing of a stream waits for its end."""
    async with serving() as rig:
        client = await rig.begun("/stream")
        assert b"text/event-stream" in await client.reader.readuntil(b"\r\n\r\n")
        assert b"data: 1" in await client.reader.readuntil(b"\n\n")
        rig.app.ended.set()
        assert b"data: 2" in await client.reader.readuntil(b"0\r\n\r\n")


async def test_a_stream_that_is_quiet_shows_its_head() -> None:
    """A reader knows that its stream has begun before anything happens on it."""
    async with serving() as rig:
        client = await rig.begun("/quiet")
        assert b"transfer-encoding: chunked" in await client.reader.readuntil(b"\r\n\r\n")
        rig.app.ended.set()
        assert await client.reader.readexactly(5) == b"0\r\n\r\n"


async def test_a_head_request_has_no_body() -> None:
    """HEAD gets the length and no bytes, and the next request its own answer."""
    async with serving() as rig:
        client = await rig.connect()
        client.request("/hold", method="HEAD")
        rig.app.release.set()
        assert b"content-length: 4\r\n" in await client.reader.readuntil(b"\r\n\r\n")
        assert (await client.call(body=b"x")).body == b"x"


async def test_a_client_that_says_close_gets_it() -> None:
    """`Connection: close` and HTTP/1.0 end the connection after the answer."""
    async with serving() as rig:
        for head in (b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
            client = await rig.connect()
            client.send(head)
            assert b"connection: close" in await client.until_closed()


async def test_an_answer_may_be_the_last_by_the_applications_word() -> None:
    """The application's own `Connection: close` is obeyed and said once."""
    async with serving() as rig:
        client = await rig.connect()
        client.request("/send?[(b'connection',b'close'),(b'content-length',b'0')],b''")
        assert (await client.until_closed()).lower().count(b"connection: close") == 1


async def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    """The body is asked for when the application wants it, and the connection ends, for nobody knows what follows."""
    async with serving() as rig:
        client = await rig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"ok")
        got = await client.answer()
        assert (got.body, got.closes) == (b"ok", True)


@pytest.mark.parametrize("body", [b"", b"abc"])
async def test_an_offered_upgrade_is_ignored(body: bytes) -> None:
    """A client that offers HTTP/2 or a websocket (Java's does with its first request) is served, body included."""
    async with serving() as rig:
        client = await rig.connect()
        offer = "Connection: keep-alive, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\nX-A: 1\r\n"
        client.request(body=body, headers=offer)
        client.request(body=b"next", headers="Connection: upgrade\r\nUpgrade: websocket\r\n")
        assert [(await client.answer()).body, (await client.answer()).body] == [body, b"next"]
        headers = dict(rig.app.scopes[0]["headers"])
        assert (headers[b"connection"], headers[b"x-a"], b"upgrade" in headers) == (b"keep-alive", b"1", False)


@pytest.mark.parametrize("path", ["/crash", "/crash?head", "/mute"])
async def test_an_application_that_fails_gives_a_problem(path: str) -> None:
    """An exception or no answer at all becomes a 500 problem that tells nothing of it, and the connection ends."""
    async with serving() as rig:
        got = await rig.call(path)
        problem = json.loads(got.body)
        assert (got.status, got.closes, got.headers["content-type"]) == (500, True, "application/problem+json")
        assert (problem["code"], problem["type"]) == ("internal-error", "about:blank")
        assert b"secret" not in got.body


@pytest.mark.parametrize(
    "said",
    [
        "[(b'x',b'a\\x0d\\x0aset-cookie:b')],b''",
        "[(b'x:',b'a')],b''",
        "[(b'content-length',b'2')],b'long'",
        "[(b'content-length',b'9')],b'short'",
    ],
)
async def test_an_answer_that_breaks_its_framing_is_not_sent(said: str) -> None:
    """Header injection and wrong lengths become a 500."""
    async with serving() as rig:
        assert (await rig.call(f"/send?{said}")).status == 500


async def test_an_answer_that_breaks_off_is_seen_to() -> None:
    """Half an answer ends without its end, so nobody takes it for whole."""
    async with serving() as rig:
        got = await rig.call("/half")
        assert (got.body, got.whole) == (b"half", False)


async def test_an_early_answer_arrives_although_the_body_is_still_being_sent() -> None:
    """A refusal on which the body was not read does not reset the client that is still sending."""
    async with serving() as rig:
        rig.server.close_after_answers()
        client = await rig.connect()
        client.request("/early", body=b"x" * (8 << 20))
        got = await client.answer()
        assert (got.status, got.closes) == (409, True)
        await client.until_closed()


async def test_a_connection_goes_on_behind_an_early_answer() -> None:
    """The body that nobody read is taken and dropped, and the next request gets its answer."""
    async with serving() as rig:
        client = await rig.connect()
        client.request("/early", body=b"x" * 1_000_000)
        assert (await client.answer()).status == 409
        assert (await client.call(body=b"next")).body == b"next"


async def test_in_flight_counts_what_is_not_answered() -> None:
    """A head that began, a request in the application, one behind it; not an idle connection, not an answered one."""
    async with serving() as rig:
        idle, head = await rig.connect(), await rig.connect()
        held = await rig.begun()
        held.request("/echo")
        head.send(b"G")
        await idle.call()
        await rig.settle()
        assert rig.server.in_flight == 3
        rig.app.release.set()
        assert [(await held.answer()).status, (await held.answer()).status] == [200, 200]
        await rig.settle()
        assert rig.server.in_flight == 1
