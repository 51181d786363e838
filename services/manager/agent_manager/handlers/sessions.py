"""The console's session: begun with a key, told of, ended."""

from datetime import datetime
from typing import Any, cast

import msgspec
from agent_contract.asgi import Scope
from agent_contract.problems import Problem
from agent_contract.wire import Strict
from litestar import Response
from msgspec import Struct

from agent_manager.access import COOKIES, Caller
from agent_manager.credentials import Role
from agent_manager.handlers.auditing import tell
from agent_manager.handlers.requests import AnyRequest, caller_of, manager_of, read_json
from agent_manager.sessions import LASTS_SECONDS, Session


class SignIn(Strict, frozen=True):
    """A key, in the place of which the cookie stands afterwards."""

    key: str


class SignedIn(Struct, rename="camel", frozen=True):
    """Who asks and what they may do; with no keys configured anybody may do everything, and `name` is null."""

    name: str | None
    role: Role
    ends_at: datetime | None
    """Null for a key that is sent itself, and where no keys are configured."""


_SIGN_IN = msgspec.json.Decoder(SignIn)


async def sign_in(request: AnyRequest) -> Response[None]:
    manager, host = manager_of(request), _host(request)
    manager.access.check_origin(dict(request.scope["headers"]))
    manager.login_attempts.check(host)
    given = await read_json(request, _SIGN_IN)
    try:
        session = manager.sessions.open(given.key.strip().encode())
    except Problem:
        manager.login_attempts.failed(host)
        manager.metrics.refused_credentials("unknown")
        raise
    tell(request, caller=Caller(session.key.name, role=session.key.role, known_by="key"))
    return Response(None, status_code=204, headers=_cookie(request, session.token, LASTS_SECONDS))


async def get_session(request: AnyRequest) -> Response[SignedIn]:
    manager, caller = manager_of(request), caller_of(request)
    session = manager.access.session(dict(request.scope["headers"]))
    session = session if session is not None and session.key.name == caller.name else None
    renewed = None if session is None else manager.sessions.renewed(session)
    headers = {} if renewed is None else _cookie(request, renewed.token, LASTS_SECONDS)
    role = caller.role or "viewer"  # somebody of no role does not come this far
    return Response(SignedIn(caller.name, role, _end(renewed or session)), headers=_private(headers))


async def sign_out(request: AnyRequest) -> Response[None]:
    access, headers = manager_of(request).access, dict(request.scope["headers"])
    session = access.session(headers)
    if session is None:
        tell(request, unsaid=True)  # nobody left
    else:
        tell(request, caller=Caller(session.key.name, role=session.key.role, known_by="session"))
    access.check_origin(headers)
    if session is not None:
        manager_of(request).sessions.end(session)
    return Response(None, status_code=204, headers=_cookie(request, "", 0))


def _end(session: Session | None) -> datetime | None:
    return None if session is None else session.ends_at


def _cookie(request: AnyRequest, token: str, seconds: int) -> dict[str, str]:
    """Give the header that keeps the session: out of reach of scripts, and sent to nobody else (RFC 6265bis)."""
    over_tls = request.scope["scheme"] == "https" or request.headers.get("x-forwarded-proto") == "https"
    name, secure = (COOKIES[0], "; Secure") if over_tls else (COOKIES[1], "")
    return _private({"Set-Cookie": f"{name}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"})


def _private(headers: dict[str, str]) -> dict[str, str]:
    return {"Cache-Control": "no-store", **headers}


def _host(request: AnyRequest) -> str:
    client: Any = cast("Scope", request.scope).get("client")
    return str(client[0]) if client else ""
