"""The adapter's outgoing HTTP: to its managers and to an upstream. The only module that knows httpx.

CallFailed
    ConnectFailed    nothing was sent
    CallBroken       it may have been received
        AnswerTooLong
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec
from agent_contract.tracing import unobserved

CONNECT_SECONDS: Final = 2.0
_IDLE_SECONDS: Final = 2.0
"""Below the 5 s that servers keep a connection: a request sent as it is closed would be lost."""
BEATS_IDLE_SECONDS: Final = 60.0
"""For beats, which may be lost: a new connection for each of them would cost more than the beat does."""


class CallFailed(Exception):  # noqa: N818  # what happened, as its kinds
    """An HTTP call gave no whole answer."""


class ConnectFailed(CallFailed):
    """No connection: nothing was sent. `refused` tells that the host is there and nothing listens."""

    def __init__(self, detail: str, *, refused: bool) -> None:
        super().__init__(detail)
        self.refused = refused


class CallBroken(CallFailed):
    """The connection ended, or the time ran out, before the answer was whole: it may have been received."""


class AnswerTooLong(CallBroken):
    """The answer is longer than its reader takes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its status, its headers in lower case, its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401  # any JSON value
        """Give the decoded body, or None when it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None


class HttpClient:
    """A keep-alive client that follows no redirect and no proxy of the environment.

    One that is not `observed` is in no trace: agent code in this process may have instrumented the library below.
    """

    def __init__(
        self,
        *,
        connections: int,
        tls: ssl.SSLContext | None = None,
        idle_seconds: float = _IDLE_SECONDS,
        observed: bool = True,
    ) -> None:
        self._connections = connections
        self._observed = observed
        self._idle_seconds = idle_seconds
        self._tls = tls
        self._plain = self._made(verify=False)  # it speaks to http:// alone: the system's certificates cost 40 ms
        self._secure: httpx.AsyncClient | None = None

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes = b"", timeout_seconds: float
    ) -> Answer:
        """Give the whole answer within the timeout; raises CallFailed."""
        try:
            async with (
                asyncio.timeout(timeout_seconds),
                self.stream(method, url, headers=headers, body=body, timeout_seconds=None) as opened,
            ):
                return Answer(opened.status, opened.headers, await opened.read())
        except TimeoutError as error:
            raise CallBroken(f"no whole answer from {url} within {timeout_seconds:g} s") from error

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, timeout_seconds: float | None
    ) -> AsyncIterator["OpenAnswer"]:
        """Give the answer as soon as its head is there; a timeout of None waits as long as the work takes."""
        timeout = httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS, pool=None)
        host = {"host": headers["host"]} if "host" in headers else {}
        extensions = {"sni_hostname": urlsplit(f"//{host['host']}").hostname} if host else {}
        seen = contextlib.nullcontext() if self._observed else unobserved()
        try:
            with seen:
                async with self._client(url).stream(
                    method, url, headers=dict(headers), content=body, timeout=timeout, extensions=extensions
                ) as response:
                    yield OpenAnswer(response)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            refused = any(isinstance(each, ConnectionRefusedError) for each in _causes(error))
            raise ConnectFailed(f"cannot connect to {url}: {_cause(error)}", refused=refused) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CallBroken(f"no answer from {url}: {_cause(error)}") from error

    async def close(self) -> None:
        """Close every connection."""
        await self._plain.aclose()
        if self._secure is not None:
            await self._secure.aclose()

    def _client(self, url: str) -> httpx.AsyncClient:
        if not url.startswith("https:"):
            return self._plain
        if self._secure is None:
            self._secure = self._made(verify=self._tls or ssl.create_default_context())  # SSL_CERT_FILE counts
        return self._secure

    def _made(self, *, verify: ssl.SSLContext | bool) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers={"accept-encoding": "identity"},  # bodies are relayed as they come, and a bomb is never unpacked
            trust_env=False,
            verify=verify,
            limits=httpx.Limits(max_connections=self._connections, keepalive_expiry=self._idle_seconds),
        )


class OpenAnswer:
    """An answer whose body is still to come."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def chunks(self) -> AsyncIterator[bytes]:
        """Give the body as it comes, undecoded."""
        return self._response.aiter_raw()

    async def read(self, limit: int = 64 * 1024 * 1024) -> bytes:
        """Give the body whole; raises AnswerTooLong when it has more than `limit` bytes."""
        body = bytearray()
        async for chunk in self.chunks():
            body += chunk
            if len(body) > limit:
                raise AnswerTooLong(f"the answer has more than {limit} bytes")
        return bytes(body)


def _cause(error: BaseException) -> str:
    """Give what the system said, else what the library did."""
    *_, last = _causes(error)
    said = next((each.strerror for each in _causes(error) if isinstance(each, OSError) and each.strerror), None)
    return said or str(last) or type(last).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give the error and what led to it, however often the libraries between have wrapped it."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        if isinstance(seen, BaseExceptionGroup):
            yield from seen.exceptions
        seen = seen.__cause__ or seen.__context__
