"""The adapter's outgoing HTTP: what it refuses to be drawn into, and how its failures are told apart."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest
from agent_adapter.http_client import Answer, AnswerTooLong, CallBroken, CallFailed, ConnectFailed, HttpClient
from agent_contract.asgi import Send

from tests.adapter.upstream_service import Reply, says, serving


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    """Give a client."""
    made = HttpClient(connections=2)
    yield made
    await made.close()


async def ask(client: HttpClient, url: str, seconds: float = 5) -> Answer:
    """Send a request."""
    return await client.request("POST", url, headers={}, body=b"{}", timeout_seconds=seconds)


async def answered(client: HttpClient, reply: Reply) -> Answer:
    """Give the answer of a service that replies so."""
    async with serving(reply) as service:
        return await ask(client, service.url)


async def test_a_redirect_is_an_answer(client: HttpClient) -> None:
    """Followed, it would carry the token to wherever it points."""
    answer = await answered(client, says(307, b"", location="http://127.0.0.1:1/elsewhere"))
    assert (answer.status, answer.headers["location"]) == (307, "http://127.0.0.1:1/elsewhere")


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would see every word that the adapter says to its manager."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    made = HttpClient(connections=1)
    assert (await answered(made, says(200, {}))).status == 200
    await made.close()


async def test_nothing_is_unpacked(client: HttpClient) -> None:
    """A bomb stays as small as it came."""
    packed = gzip.compress(b"0" * 1_000_000)
    answer = await answered(client, says(200, packed, content_encoding="gzip"))
    assert (answer.body, answer.json()) == (packed, None)


async def test_a_refused_connection_is_told_from_other_failures(client: HttpClient) -> None:
    """Nothing listens: nothing was sent, and nobody needs to be waited for."""
    async with serving(says(200, {})) as service:
        url = service.url
    with pytest.raises(ConnectFailed) as caught:
        await ask(client, url)
    assert caught.value.refused
    with pytest.raises(ConnectFailed) as caught:
        await ask(client, "http://no-such-name.invalid:80")
    assert not caught.value.refused


async def test_the_timeout_is_for_the_whole_answer(client: HttpClient) -> None:
    """One that comes drop by drop does not reset it."""

    async def drip(send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(200):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0.02)

    async with serving(drip) as service:
        began = asyncio.get_running_loop().time()
        with pytest.raises(CallBroken, match="no whole answer"):
            await ask(client, service.url, seconds=0.2)
        assert asyncio.get_running_loop().time() - began < 2


async def test_an_answer_is_read_up_to_a_limit(client: HttpClient) -> None:
    """And no further."""
    async with serving(says(200, b"x" * 1000)) as service:
        stream = client.stream("POST", service.url, headers={}, body=b"{}", timeout_seconds=5)
        async with stream as opened:
            assert opened.status == 200
            with pytest.raises(AnswerTooLong):
                await opened.read(999)


async def test_an_address_that_is_none_is_a_failed_call(client: HttpClient) -> None:
    """Whatever stands there."""
    for url in ("http://[::1", "gopher://127.0.0.1", "http://"):
        with pytest.raises(CallFailed):
            await ask(client, url)
