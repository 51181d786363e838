"""Who may do what: the one place that reads credentials of requests.

Synchronous and without I/O: it runs before every request. Only a token that the cluster gave, and that is not known
yet, is asked for before.

A browser sends its cookie whoever wrote the page that makes it ask, and reaches a manager on loopback from any page. So
what changes something is refused to a page of another origin, where a cookie stands for the caller or nothing does:
`Sec-Fetch-Site` or `Origin` must say that it is our own, and a cookie needs a header beside it that no form can send.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, Literal

import msgspec
from agent_contract.identity import is_agent_id
from agent_contract.problems import Problem
from agent_contract.same_origin import Headers, is_of_this_origin, may_be_rebound

from agent_manager.credentials import ApiKey, Credentials, Role
from agent_manager.oidc import OidcTokens
from agent_manager.sessions import Session, Sessions
from agent_manager.token_reviews import ReviewedTokens

FailureReason = Literal["missing", "unknown", "role", "other-agent", "other-site"]

KnownBy = Literal["none", "key", "session", "oidc", "token"]
"""How somebody is known: `token` is an adapter's."""

_RANK: Final = {"viewer": 0, "operator": 1, "admin": 2}
_LONGEST_CALLER: Final = 200
_CALLER_PARTS: Final = 3
COOKIES: Final = ("__Host-agent-manager", "agent-manager")
"""The session's cookie over https, where the browser holds it to this very host, and over http."""
SCRIPT_HEADER: Final = b"x-requested-with"
"""A page of another origin cannot send it without being asked for (CORS), and nobody here says that it may."""


class Who(Enum):
    """Who may use a route."""

    ANYONE = "none"
    ADAPTER = "adapter"
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    CALLER = "operator, or an adapter for its agent's code"


class Caller(msgspec.Struct, frozen=True):
    """Who asks. `name` is that of the key, or the task of the agent that calls; None where nobody is known."""

    name: str | None = None
    agent_id: str | None = None
    """The agent whose own token was given: it may speak for this agent only."""
    role: Role | None = "admin"
    """What it may do on the routes of people: everything where nobody is asked, None for a person of no role here."""
    token: bytes | None = None
    """That own token: what this manager signs with when it speaks to the agent."""
    known_by: KnownBy = "none"

    def __repr__(self) -> str:
        """Give a text without the token: it may end in a log."""
        return f"Caller({self.name!r}, {self.agent_id!r}, {self.role!r})"


NOBODY: Final = Caller()
_ADAPTER: Final = Caller(known_by="token")


class Refused(Problem):
    """403 `forbidden` for somebody who is known, so that an audit can name them."""

    def __init__(self, detail: str, caller: Caller) -> None:
        super().__init__("forbidden", detail)
        self.caller = caller


class Access:
    """Tells callers apart and refuses those who may not."""

    def __init__(
        self,
        credentials: Credentials,
        sessions: Sessions,
        on_failure: Callable[[FailureReason], None],
        reviewed: ReviewedTokens | None = None,
        oidc: OidcTokens | None = None,
        *,
        loopback_only: bool = False,
    ) -> None:
        """Take who is known. `loopback_only`: this manager is for its own machine, and is to be called so."""
        self._loopback_only = loopback_only
        self._credentials = credentials
        self._sessions = sessions
        self._on_failure = on_failure
        self._reviewed = reviewed
        self._oidc = oidc

    async def prepare(self, who: Who, headers: Headers) -> None:
        """Ask whose token this is, where `check` could not tell: the cluster, or the issuer for its newest keys.

        Raises Problem 503 `unavailable` where the cluster cannot be asked.
        """
        if who is Who.ANYONE:
            return
        token = headers.get(b"x-manager-token")
        if self._reviewed is not None and token is not None and who in (Who.ADAPTER, Who.CALLER):
            asking = None if self._of_file(token) else self._reviewed.to_ask(token)
        elif self._oidc is not None and who is not Who.ADAPTER:
            asking = self._oidc.to_ask(_bearer(headers))
        else:
            return
        if asking is not None:
            await asking

    def check(self, who: Who, headers: Headers) -> Caller:
        """Give who asks; raises Problem 401 `unauthenticated` or 403 `forbidden`."""
        if who is Who.ANYONE:
            return NOBODY
        if who is Who.CALLER:
            return self._caller(headers)
        if who is Who.ADAPTER:
            return self._adapter(headers)
        return self._client(who, headers)

    def check_own(self, caller: Caller, agent_id: str) -> None:
        """Refuse an agent's own token that speaks for another agent; raises Problem 403 `forbidden`."""
        if caller.agent_id is not None and caller.agent_id != agent_id:
            raise self._forbidden("other-agent", f"this token is that of {caller.agent_id}, not of {agent_id}")

    def session(self, headers: Headers) -> Session | None:
        """Give the session that the request's cookie stands for, None where there is none."""
        found = _cookies(headers)
        given = next((found[name] for name in COOKIES if name in found), None)
        return None if given is None else self._sessions.read(given)

    def check_host(self, headers: Headers) -> None:
        """Refuse a name that somebody else gave an address of this machine (DNS rebinding), where nobody is asked.

        To a browser such a name is the origin of its page, which then reads and orders as it likes. Raises Problem 403
        `forbidden`.
        """
        if self._loopback_only and may_be_rebound(headers):
            host = headers[b"host"][:200].decode("latin-1")
            detail = (
                f"{host!r} may be the name of a page of elsewhere: call it at localhost, set keys, or say --insecure"
            )
            raise self._forbidden("other-site", detail)

    def check_origin(self, headers: Headers) -> None:
        """Refuse a request that a page of another origin had a browser make; raises Problem 403 `forbidden`."""
        if not is_of_this_origin(headers):
            raise self._forbidden("other-site", "a page of another origin may not do this")

    def _caller(self, headers: Headers) -> Caller:
        """Give who wants an agent called: an operator, or an adapter whose agent calls another."""
        credentials = self._credentials
        if not credentials.closes_adapter_routes:
            caller = self._client(Who.OPERATOR, headers)
            return caller if caller.name is not None else Caller(_said_caller(headers, None))
        token = headers.get(b"x-manager-token")
        if token is not None:
            if credentials.is_manager_token(token):
                return Caller(_said_caller(headers, None), known_by="token")
            own = self._own_agent(token)
            if own is not None:
                return Caller(_said_caller(headers, own), own, known_by="token")
        return self._client(Who.OPERATOR, headers)

    def _adapter(self, headers: Headers) -> Caller:
        credentials = self._credentials
        if not credentials.closes_adapter_routes:
            self.check_host(headers)
            self.check_origin(headers)
            return NOBODY
        token = headers.get(b"x-manager-token")
        if token is None:
            raise self._unauthenticated("missing", "this route needs X-Manager-Token", "X-Manager-Token")
        if credentials.is_manager_token(token):
            return _ADAPTER
        own = self._own_agent(token)
        if own is None:
            raise self._unauthenticated("unknown", "this X-Manager-Token is not known", "X-Manager-Token")
        return Caller(agent_id=own, token=token, known_by="token")

    def _own_agent(self, token: bytes) -> str | None:
        """Give the agent whose own token this is: the file's word, else the cluster's."""
        own = self._credentials.agent_of(token)
        return own if own is not None or self._reviewed is None else self._reviewed.agent_of(token)

    def _of_file(self, token: bytes) -> bool:
        return self._credentials.is_manager_token(token) or self._credentials.agent_of(token) is not None

    def _client(self, who: Who, headers: Headers) -> Caller:
        changes = who is not Who.VIEWER
        if not self._credentials.closes_client_routes:
            self.check_host(headers)
            if changes:
                self.check_origin(headers)
            return NOBODY
        given = _bearer(headers)
        key = self._credentials.key_of(given) if given else self._signed_in(headers, changes=changes)
        if key is None:
            person = None if self._oidc is None else self._oidc.read(given)
            if person is None:
                raise self._unauthenticated("unknown", "this API key or token is not known", "Bearer")
            return self._with_role(who, person.name, person.role, "oidc")
        return self._with_role(who, key.name, key.role, "key" if given else "session")

    def _signed_in(self, headers: Headers, *, changes: bool) -> ApiKey:
        session = self.session(headers)
        if session is None:
            detail = "this route needs Authorization: Bearer and an API key, or the console's session"
            raise self._unauthenticated("missing", detail, "Bearer")
        if changes:
            self.check_origin(headers)
            if SCRIPT_HEADER not in headers:
                raise self._forbidden("other-site", "with a cookie this needs the header X-Requested-With too")
        return session.key

    def _with_role(self, who: Who, name: str, role: Role | None, known_by: KnownBy) -> Caller:
        if role is None or _RANK[role] < _RANK[who.value]:
            self._on_failure("role")
            detail = f"{name} is {role or 'of no role here'}, and this needs {who.value}"
            raise Refused(detail, Caller(name, role=role, known_by=known_by))
        return Caller(name, role=role, known_by=known_by)

    def _unauthenticated(self, reason: FailureReason, detail: str, scheme: str) -> Problem:
        self._on_failure(reason)
        return Problem("unauthenticated", detail, headers={"WWW-Authenticate": f'{scheme} realm="agent-manager"'})

    def _forbidden(self, reason: FailureReason, detail: str) -> Problem:
        self._on_failure(reason)
        return Problem("forbidden", detail)


def _bearer(headers: Headers) -> bytes:
    """Give what `Authorization: Bearer` says (RFC 6750, 2.1), empty where nothing does."""
    scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
    return secret.strip() if scheme.lower() == b"bearer" else b""


def _cookies(headers: Headers) -> dict[str, str]:
    """Give the cookies of a request (RFC 6265, 4.2.1); of two with one name the first, that of the longer path."""
    pairs = (pair.strip().partition("=") for pair in headers.get(b"cookie", b"").decode("latin-1").split(";"))
    found: dict[str, str] = {}
    for name, _, value in pairs:
        found.setdefault(name, value)
    return found


def _said_caller(headers: Headers, own_agent: str | None) -> str | None:
    """Give the task that an adapter says it calls for, `agent/<id>/<taskId>`; anything else counts as unsaid."""
    said = headers.get(b"x-agent-caller")
    if said is None or len(said) > _LONGEST_CALLER or not said.isascii():
        return None
    text = said.decode("ascii")
    parts = text.split("/")
    sound = len(parts) == _CALLER_PARTS and parts[0] == "agent" and is_agent_id(parts[1]) and parts[2].isprintable()
    if not sound or not parts[2] or own_agent not in (None, parts[1]):
        return None
    return text
