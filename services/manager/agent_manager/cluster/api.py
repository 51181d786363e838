"""The Kubernetes API by raw paths and raw bytes: the only module that knows the Kubernetes client.

The client brings its configuration (service account with a token that is read again, kubeconfig with its plugins), TLS
and connections. Its typed models stay unused: they cost 400 times of what the few fields that matter cost, and one odd
null in an object ends a loop over it.

    ApiFailed         the API server answered, with an error
    ApiUnreachable    nobody answered, or nothing that is an answer of an API server
      ApiSilent       a watch said nothing for longer than it may

The client is imported by `connect`, for it weighs 50 MB and takes a second: this module may be imported by everyone.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from agent_contract.loading import ConfigurationError
from msgspec import Struct

CONNECT_SECONDS: Final = 5.0
"""For a connection with TLS: an API server that needs longer is not there."""
MAX_ANSWER_BYTES: Final = 128 << 20
"""Of one answer: a page of 500 objects of 256 KiB each, which no real one has."""
MAX_LINE_BYTES: Final = 8 << 20
"""Of one event of a watch: an object has at most 1.5 MiB in etcd, and JSON may double and quote it."""
_MAX_ERROR_BYTES: Final = 64 << 10
_FAREWELL_SECONDS: Final = 0.1
"""For TLS's last words on connections that the client has let go of: it offers nothing to wait for, and a loop that
ends before them leaves their sockets open (aiohttp's "Graceful Shutdown")."""
_REFRESH_SECONDS: Final = 60.0
"""How often the credentials are looked at again."""
_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_ERRORS_FROM: Final = 400
_TEXT: Final = "text/plain, application/json"


class ApiFailed(Exception):  # noqa: N818  # the name says what happened
    """The API server answered with an error."""

    def __init__(self, status: int, reason: str, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        """The HTTP status, or the code of an ERROR event."""
        self.reason = reason
        """In the API's words: `Forbidden`, `Expired`, `Conflict`; empty where it gave none."""
        self.message = message
        """For people."""
        self.retry_after_seconds = retry_after_seconds
        """How long it wants to be left alone; None: it did not say."""


class ApiUnreachable(Exception):  # noqa: N818  # as above
    """No sound answer came: a refused or broken connection, a timeout, an answer that no API server gives."""


class ApiSilent(ApiUnreachable):
    """A watch is open and nothing came for longer than its `inactivity_seconds`."""


class ApiStatus(Struct, rename="camel", frozen=True):
    """The API's `Status` object, the body of its errors and the object of an ERROR event."""

    class Details(Struct, rename="camel", frozen=True):
        """More of the same error."""

        retry_after_seconds: float | None = None

    code: int = 0
    reason: str | None = None
    message: str | None = None
    details: Details | None = None

    def failure(self, status: int) -> ApiFailed:
        """Give it as the exception; `status` is for one that has no code."""
        retry = self.details.retry_after_seconds if self.details else None
        return ApiFailed(self.code or status, self.reason or "", self.message or "it did not say why", retry)


class ClusterApi:
    """A connection to one API server. Made by `connect`; it opens no socket before the first request."""

    def __init__(self, client: Any, namespace: str) -> None:  # noqa: ANN401  # the client's own types are not annotated
        self.namespace = namespace
        """The manager's own."""
        self._client = client

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = {},
        body: bytes | None = None,
        content_type: str = "application/json",
        timeout_seconds: float = 10.0,
    ) -> bytes:
        """Give the JSON of the answer.

        `path` is the API's own (`/api/v1/namespaces/x/pods`), `body` is JSON of the given type, for a PATCH
        `application/merge-patch+json` or `application/strategic-merge-patch+json`.

        Raises:
            ApiFailed: the answer's status is 400 or above.
            ApiUnreachable: there was no sound answer within the time.

        """
        with _translated(f"{method} {path}"):
            async with asyncio.timeout(timeout_seconds):
                response = await self._send(method, path, query, body, content_type, None)
                try:
                    await _check(response)
                    return await _read(response, MAX_ANSWER_BYTES)
                finally:
                    response.release()

    async def watch(
        self,
        path: str,
        query: Mapping[str, str],
        *,
        inactivity_seconds: float,
        on_open: Callable[[], None] = lambda: None,
        text: bool = False,
    ) -> AsyncGenerator[bytes, None]:
        """Give each line of a stream as it comes, without its end; it ends when the API server ends it in order.

        Use it in `contextlib.aclosing`: its connection is closed with it. `on_open` is called when the API server has
        agreed to it, which may be a minute before the first line. `text`: it is a log, whose last line may have no end.

        Raises:
            ApiFailed: the answer's status is 400 or above.
            ApiSilent: nothing came for that long.
            ApiUnreachable: there was no sound answer, or the connection broke.

        """
        with _translated(f"watch {path}"):
            async with asyncio.timeout(inactivity_seconds):
                accept = _TEXT if text else "application/json"
                response = await self._send("GET", path, query, None, "application/json", inactivity_seconds, accept)
        try:
            with _translated(f"watch {path}"):
                await _check(response, text=text)
            on_open()
            rest = b""
            while True:
                with _translated(f"watch {path}", silent_seconds=inactivity_seconds):
                    piece = await response.content.readany()
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line
                if not piece:
                    break
                if len(rest) > MAX_LINE_BYTES:
                    raise ApiUnreachable(f"cannot watch {path}: a line has over {MAX_LINE_BYTES} bytes")
            if rest and text:
                yield rest
            elif rest:
                raise ApiUnreachable(f"cannot watch {path}: it ended within a line")
        finally:
            response.close()

    async def close(self) -> None:
        """Close every connection; those that a request left when it was cancelled say farewell meanwhile."""
        await self._client.close()
        await asyncio.sleep(_FAREWELL_SECONDS)  # the client tells nobody when they have

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
        silence_seconds: float | None,
        accept: str = "application/json",
    ) -> Any:  # noqa: ANN401  # aiohttp's response: aiohttp is not imported here
        """Give the response when its head is there."""
        from aiohttp import ClientTimeout  # noqa: PLC0415  # heavy, as said above

        # identity: lists come from near, and inflating megabytes would hold up the event loop
        headers = {"Accept": accept, "Accept-Encoding": "identity", "Content-Type": content_type}
        content = None if body is None else msgspec.json.decode(body)  # the client writes it out itself
        prepared = await self._client.param_serialize(
            method, path, None, list(query.items()), headers, content, auth_settings=["BearerToken"]
        )
        limits = ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=silence_seconds)
        answer = await self._client.call_api(*prepared, _request_timeout=limits)
        return answer.response


async def connect(*, namespace: str | None = None, kubeconfig: str | None = None) -> ClusterApi:
    """Give the API of the cluster that this process runs in, else of the user's kubeconfig and its current context.

    `namespace` is the manager's own where it was told (`POD_NAMESPACE`); else that of the service account or context.
    A `kubeconfig` that is named is used, wherever this process runs.

    Raises:
        ConfigurationError: there is neither, or it cannot be read.

    """
    from kubernetes.aio import client, config  # noqa: PLC0415  # heavy, as said above

    settings: Any = client.Configuration()  # its hook may give an awaitable, and is annotated as None
    settings.client_session_kwargs = {"trust_env": False}  # a proxy for the outside would see the cluster's tokens
    settings.connection_pool_maxsize = 0  # no limit: each watch holds one for minutes, and the hundredth must not wait
    settings.disable_strict_ssl_verification = True  # Python 3.13 refuses CAs that kubectl and kubeadm are content with
    load_kube_config: Any = config.load_kube_config  # not annotated by the client, like the next
    load_incluster_config: Any = partial(config.load_incluster_config, try_refresh_token=False)  # by the wall clock
    outside = "one was named"
    if kubeconfig is None:
        try:
            load_incluster_config(settings)
            own = namespace or (_SERVICE_ACCOUNT / "namespace").read_text().strip()
        except (config.ConfigException, OSError) as error:
            outside = str(error)
        else:
            settings.refresh_api_key_hook = _Refresh(load_incluster_config)
            return ClusterApi(client.ApiClient(settings), own)
    try:
        loader = await load_kube_config(kubeconfig, client_configuration=settings, persist_config=False)
        own = namespace or loader.current_context["context"].get("namespace") or "default"
    except Exception as error:  # the client's loader raises what its YAML, its files and its plugins do
        reason = f"cannot find a cluster: no service account ({outside}), no kubeconfig ({error})"
        raise ConfigurationError("runtime.discovery", reason) from error
    settings.refresh_api_key_hook = _Refresh(loader.load_and_set)
    return ClusterApi(client.ApiClient(settings), own)


class _Refresh:
    """Looks at the credentials again: tokens of service accounts, plugins and files live minutes to hours."""

    def __init__(self, load: Callable[[Any], Awaitable[None] | None]) -> None:
        self._load = load
        self._at = time.monotonic()

    async def __call__(self, settings: Any) -> None:  # noqa: ANN401  # not annotated by the client
        """Read them again if it is time; the client calls this before each request."""
        if time.monotonic() - self._at >= _REFRESH_SECONDS:
            self._at = time.monotonic()
            loading = self._load(settings)
            if loading is not None:
                await loading


@contextlib.contextmanager
def _translated(what: str, *, silent_seconds: float | None = None) -> Iterator[None]:
    """Raise ApiUnreachable for whatever goes wrong on the way to the API server and back."""
    from aiohttp import ClientError  # noqa: PLC0415  # heavy, as said above
    from kubernetes.aio.config import ConfigException  # noqa: PLC0415  # as above

    try:
        yield
    except TimeoutError as error:
        if silent_seconds is not None:
            raise ApiSilent(f"cannot {what}: nothing came for {silent_seconds:g} s") from error
        raise ApiUnreachable(f"cannot {what}: no answer in time") from error
    except (ClientError, ConfigException, OSError, ValueError) as error:  # ValueError: a header that is none
        raise ApiUnreachable(f"cannot {what}: {error or type(error).__name__}") from error


async def _check(response: Any, *, text: bool = False) -> None:  # noqa: ANN401  # aiohttp's response
    """Raise ApiFailed for an error, ApiUnreachable for an answer that is not JSON, where no text is wanted."""
    if response.status < _ERRORS_FROM:
        if not text and "json" not in response.content_type:
            raise ApiUnreachable(f"cannot use an answer of type {response.content_type}: something else answers there")
        return
    body = await _read(response, _MAX_ERROR_BYTES)
    try:
        failure = msgspec.json.decode(body, type=ApiStatus).failure(response.status)
    except msgspec.DecodeError:  # a load balancer's page
        failure = ApiFailed(response.status, response.reason or "", f"an answer of type {response.content_type}")
    failure.status = response.status
    with contextlib.suppress(KeyError, ValueError):  # absent, or a date
        failure.retry_after_seconds = float(response.headers["Retry-After"])
    raise failure


async def _read(response: Any, most: int) -> bytes:  # noqa: ANN401  # aiohttp's response
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > most:
            response.close()
            raise ApiUnreachable(f"cannot read an answer of over {most} bytes")
        pieces.append(piece)
    return b"".join(pieces)
