"""The manager's HTTP API as agentctl uses it: the only module that knows httpx."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

import httpx
import msgspec
from agent_contract.sse import Event, EventParser

from agentctl.answers import failure_of
from agentctl.failures import CommandFailed, Exit, ManagerAway
from agentctl.route import Route
from agentctl.terminal import one_line

_CONNECT_SECONDS: Final = 3.0
_ANSWER_SECONDS: Final = 15.0
"""The manager asks instances live for at most a few seconds; what takes longer is an execute, which has no limit."""
_SILENCE_SECONDS: Final = 45.0
"""A stream has a comment every 15 s; three of them missing is a dead connection."""
_KEEP_ALIVE: Final = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.IPPROTO_TCP, getattr(socket, name), 30) for name in ("TCP_KEEPIDLE",) if hasattr(socket, name)),
]
"""A call that waits an hour for its answer finds out that the manager's machine is gone."""


class Answer(msgspec.Struct, frozen=True):
    """A successful answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:  # noqa: ANN401  # any JSON value
        """Give the decoded body; raises CommandFailed for one that is not JSON."""
        try:
            return msgspec.json.decode(self.content)
        except msgspec.MsgspecError as error:
            raise CommandFailed(f"cannot read the manager's answer: not JSON: {error}") from error


class Manager:
    """One manager at the end of one route. Every method raises CommandFailed with the exit code that fits."""

    def __init__(self, route: Route, key: str | None) -> None:
        self._route = route
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            trust_env=False,
            transport=httpx.HTTPTransport(
                verify=ssl.create_default_context() if route.secure else False,  # the system's cost 40 ms
                trust_env=False,
                socket_options=_KEEP_ALIVE,
            ),
        )

    @property
    def name(self) -> str:
        """Give what messages call it: its URL, or its Service in a cluster."""
        return self._route.name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._route.close()

    def get(self, path: str, **params: str | int | None) -> Any:  # noqa: ANN401  # any JSON value
        """Give the decoded answer of a GET; parameters that are None are left out."""
        return self.send("GET", path, params=params).json()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,  # noqa: ANN401  # any JSON value
        params: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
        answer_seconds: float | None = _ANSWER_SECONDS,
    ) -> Answer:
        """Give the answer to one request; None as `answer_seconds` waits for it without limit."""
        request = self._request(method, path, body, params, headers, answer_seconds)
        try:
            response = self._client.send(request)
        except httpx.TransportError as error:
            raise self._away(error) from error
        self._route.answered()
        if not response.is_success:
            raise failure_of(response.status_code, response.content, self.name)
        return Answer(response.status_code, response.headers, response.content)

    def stream(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,  # noqa: ANN401  # any JSON value
        params: Mapping[str, str | int | None] | None = None,
    ) -> Iterator[Event]:
        """Give the events of an event stream as they come, until the manager ends it.

        Raises:
            ManagerAway: it could not be reached, is leaving, or the stream broke.
            CommandFailed: it refused.

        """
        accept = {"Accept": "text/event-stream"}
        request = self._request(method, path, body, params, accept, _SILENCE_SECONDS)
        parser = EventParser()
        try:
            response = self._client.send(request, stream=True)
            self._route.answered()
            try:
                if not response.is_success:
                    raise failure_of(response.status_code, response.read(), self.name)
                for piece in response.iter_bytes():
                    yield from parser.feed(piece)
            finally:
                response.close()
        except httpx.TransportError as error:
            raise self._away(error) from error
        except ValueError as error:
            raise CommandFailed(f"cannot read the stream of {self.name}: {error}") from error

    def _request(
        self,
        method: str,
        path: str,
        body: Any,  # noqa: ANN401  # any JSON value
        params: Mapping[str, str | int | None] | None,
        headers: Mapping[str, str] | None,
        answer_seconds: float | None,
    ) -> httpx.Request:
        given = {name: value for name, value in (params or {}).items() if value is not None}
        content = None if body is None else msgspec.json.encode(body)
        kind = {} if body is None else {"Content-Type": "application/json"}
        timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS, read=answer_seconds)
        try:
            return self._client.build_request(
                method,
                f"{self._route.open()}{path}",
                params=given,
                content=content,
                headers={**kind, **(headers or {})},
                timeout=timeout,
            )
        except httpx.InvalidURL as error:
            raise CommandFailed(f"cannot use manager URL {one_line(self.name)!r}: {error}", Exit.USAGE) from error

    def _away(self, error: httpx.TransportError) -> CommandFailed:
        self._route.broke()
        if isinstance(error, httpx.UnsupportedProtocol):
            message = f"cannot use manager URL {self.name!r}: write http://host:port"
            return CommandFailed(message, Exit.USAGE)
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            reason = "no answer" if isinstance(error, httpx.ConnectTimeout) else _reason(error)
            return ManagerAway(f"cannot reach the manager at {self.name}: {reason}; {self._route.advice}", asked=False)
        if isinstance(error, httpx.TimeoutException):
            return ManagerAway(f"the manager at {self.name} did not answer in time", asked=True)
        return ManagerAway(f"the connection to the manager at {self.name} ended before the answer did", asked=True)


def _reason(error: httpx.ConnectError) -> str:
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.strerror):
        cause = cause.__cause__ or cause.__context__
    text = cause.strerror if isinstance(cause, OSError) else None
    return one_line(text or error).lower()
