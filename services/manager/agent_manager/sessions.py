"""The console's sessions: a key is given once, a signed cookie stands for it afterwards.

No session is kept here: it is a JWT (RFC 7519, HS256) signed with a secret that is derived from a manager token and
from the very key that opened it. So every manager of several takes it, a restart ends none, and the session ends at the
moment its key leaves the file, or the manager token it was signed under does. The key's hash alone, which stands in a
file, signs nothing. Name and role are read from the file, not from the cookie: a role that is lowered is lower at once.

Who signs out ends it before its time, with what it was renewed to, at the manager that was asked: that one remembers
the session's id until no token of it can be good any more. Others of several do not hear of it: the browser has lost
its cookie for them too, and a copy, if somebody made one, ends there with the 12 hours or with its key.

It lasts 12 hours. A viewer's is renewed while a page is open, for a screen on a wall has nobody to sign in again; an
operator's and an admin's is not: what may give orders ends by itself.
"""

import hmac
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import jwt
from agent_contract.problems import Problem
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from agent_manager.credentials import ApiKey, Credentials

LASTS_SECONDS: Final = 12 * 3600
RENEW_AFTER_SECONDS: Final = 3600
_LABEL: Final = b"agent-manager console session, version 1"
_ISSUER: Final = "agent-manager"
_ALGORITHM: Final = "HS256"
_LONGEST_TOKEN: Final = 1024
_LATE_SECONDS: Final = 60
"""How far the clocks of several managers may be apart."""
_MOST_ENDED: Final = 10_000
"""Sessions that are remembered as ended, about 1 MB. Only who has a key can end one; the oldest make room."""


class Session(Struct, frozen=True):
    """Who is signed in, and until when."""

    id: str
    """The same in what it is renewed to."""
    key: ApiKey
    began_at: datetime
    ends_at: datetime
    token: str


class Sessions:
    """Opens sessions and reads them."""

    def __init__(self, credentials: Credentials, wall: Callable[[], datetime]) -> None:
        self._credentials = credentials
        self._wall = wall
        self._own_secret = secrets.token_bytes(32)
        """In the place of a manager token where there is none: such a manager is alone on its machine."""
        self._ended: dict[str, datetime] = {}
        """Until when each session that somebody signed out of could be shown again, the first to be forgotten first."""

    def open(self, secret: bytes) -> Session:
        """Give the session of an API key; raises Problem 401 `unauthenticated`."""
        digest = sha256(secret).digest()
        key = self._credentials.api_keys().get(digest)
        if key is None:
            raise Problem("unauthenticated", "this API key is not known")
        return self._signed(secrets.token_hex(8), digest, key)

    def end(self, session: Session) -> None:
        """Take the session no more, whoever shows its token: who signed out left nothing open behind."""
        now = self._wall()
        self._ended.pop(session.id, None)
        self._ended[session.id] = now + timedelta(seconds=LASTS_SECONDS)
        while len(self._ended) > _MOST_ENDED or self._ended[next(iter(self._ended))] <= now:
            del self._ended[next(iter(self._ended))]

    def read(self, token: str) -> Session | None:
        """Give the session of a token; None for one that is forged, over or ended, or whose key is gone."""
        if len(token) > _LONGEST_TOKEN:
            return None
        try:
            named = str(jwt.get_unverified_header(token).get("kid"))
        except jwt.PyJWTError:
            return None
        for digest, key in self._credentials.api_keys().items():
            for root in self._roots():
                if hmac.compare_digest(_name(root, digest).encode(), named.encode()):
                    return self._verified(token, _secret(root, digest), key)
        return None

    def renewed(self, session: Session) -> Session | None:
        """Give a viewer's session anew once an hour of it has passed; None where it stays as it is."""
        age = (self._wall() - session.began_at).total_seconds()
        if session.key.role != "viewer" or age < RENEW_AFTER_SECONDS:
            return None
        digest = next((one for one, key in self._credentials.api_keys().items() if key == session.key), None)
        return None if digest is None else self._signed(session.id, digest, session.key)

    def _signed(self, session_id: str, digest: bytes, key: ApiKey) -> Session:
        root, now = next(self._roots()), int(self._wall().timestamp())
        claims = {"iss": _ISSUER, "sub": key.name, "iat": now, "exp": now + LASTS_SECONDS, "jti": session_id}
        token = jwt.encode(claims, _secret(root, digest), _ALGORITHM, headers={"kid": _name(root, digest)})
        return Session(session_id, key, _time(now), _time(now + LASTS_SECONDS), token)

    def _verified(self, token: str, secret: bytes, key: ApiKey) -> Session | None:
        # `exp` is held against the clock that was given, not against the library's own
        options: Any = {"require": ["iss", "sub", "iat", "exp", "jti"], "verify_exp": False, "verify_iat": False}
        try:
            claims = jwt.decode(token, secret, [_ALGORITHM], options, issuer=_ISSUER)
            began_at, ends_at = _time(claims["iat"]), _time(claims["exp"])
        except (jwt.PyJWTError, TypeError, ValueError, OverflowError, OSError):
            return None
        now = self._wall()
        session_id = str(claims["jti"])
        over = now >= ends_at or (began_at - now).total_seconds() > _LATE_SECONDS or claims["sub"] != key.name
        if over or session_id in self._ended:
            return None
        return Session(session_id, key, began_at, ends_at, token)

    def _roots(self) -> Iterator[bytes]:
        """Give what secrets derive from, the first manager token first."""
        yield from [token.encode() for token in self._credentials.manager_tokens] or [self._own_secret]


def _secret(root: bytes, digest: bytes) -> bytes:
    """Give the secret that signs the sessions of a key."""
    return _derived(root, b"sign" + digest)


def _name(root: bytes, digest: bytes) -> str:
    """Give how a token names the key that it stands for, of which it tells nothing."""
    return _derived(root, b"name" + digest)[:12].hex()


def _derived(root: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, _LABEL, purpose).derive(root)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
