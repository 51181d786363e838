"""What this adapter says to its managers, and what it takes from them as proof that they are its managers.

A manager proves itself with one of this adapter's tokens, or with a short-lived JWT that one of them signed for this
agent alone. Whether that is over is judged by the clock of the managers, which their answers tell: the clocks of two
machines may be an hour apart, and no call may fail for it.
"""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final

from agent_contract.tokens import ALGORITHM, HEADER, ISSUER, SIGNED_SECONDS, matches, parse_tokens, signing_key
from agent_contract.watched_file import WatchedFile

Address = tuple[str, int]
Tokens = tuple[str, ...]

_LEEWAY_SECONDS: Final = 5.0
"""A `Date` is cut to the second, and an answer may have been 2 s on its way."""
_FORMER_SECONDS: Final = SIGNED_SECONDS + 30.0
"""How long a token that was replaced may still have signed: a manager hears of the new one with the next beat."""
_LONGEST_SIGNED: Final = 1024
_MOST_VERIFIED: Final = 256
"""A few managers with a new one each half a minute."""


class ManagerTokens:
    """The tokens of this adapter, read again when their file changes."""

    def __init__(
        self,
        agent_id: str,
        tokens: Tokens,
        path: str | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Read the file, if there is one; raises ConfigurationError."""
        self._agent_id = agent_id
        self._clock = clock
        self._wall = wall
        self._file = WatchedFile("MANAGER_TOKEN_FILE", path, parse_tokens, clock, tokens)
        self._accepted = self._file.value()
        self._former: tuple[float, Tokens] = (0.0, ())
        self._verified: dict[bytes, float] = {}
        """Until when a signed token is good, by the monotonic clock: a signature is checked once, not at each call."""
        self._offsets: dict[Address, float] = {}
        """How far each manager's clock is ahead of the monotonic one here."""

    @property
    def configured(self) -> bool:
        """Whether there is a token at all; without one everything is open."""
        return self._file.configured

    @property
    def headers(self) -> dict[str, str]:
        """Give the header that proves to a manager who asks: the first token."""
        tokens = self._tokens()
        return {HEADER: tokens[0]} if tokens else {}

    def accepts(self, given: bytes) -> bool:
        """Tell whether this proves that a manager of this adapter asks."""
        accepted = self._tokens()
        good_until = self._verified.get(given)
        if good_until is not None and self._clock() < good_until:
            return True
        return matches(given.decode("utf-8", "replace"), accepted) or self._is_signed(given, accepted)

    def heard(self, manager: Address, date: str | None) -> None:
        """Take the time of a manager from the `Date` of its answer (RFC 9110, 6.6.1)."""
        if date is None or not self._file.configured:
            return
        try:
            self._offsets[manager] = parsedate_to_datetime(date).timestamp() - self._clock()
        except (ValueError, OverflowError):
            return

    def forget(self, manager: Address) -> None:
        """Go by the clock of this manager no more: it is gone."""
        self._offsets.pop(manager, None)

    def _tokens(self) -> Tokens:
        tokens = self._file.value()
        if tokens is not self._accepted:
            self._former = self._clock() + _FORMER_SECONDS, self._accepted
            self._accepted = tokens
            self._verified.clear()
        return tokens

    def _is_signed(self, given: bytes, accepted: Tokens) -> bool:
        if given.count(b".") != 2 or len(given) > _LONGEST_SIGNED:  # noqa: PLR2004  # header, claims and signature
            return False
        until, former = self._former
        now = self._clock()
        for token in (*accepted, *(former if now < until else ())):
            claims = _claims(given, token, self._agent_id)
            if claims is not None:
                return self._is_good(given, claims, now)
        return False

    def _is_good(self, given: bytes, claims: dict[str, Any], now: float) -> bool:
        """Tell whether it is not over by the clock of any manager; where none has answered yet, by the own one."""
        if not 0 < claims["exp"] - claims["iat"] <= SIGNED_SECONDS:
            return False
        offsets = self._offsets.values() or (self._wall() - now,)
        left = max(claims["exp"] - (now + offset) for offset in offsets) + _LEEWAY_SECONDS
        if left <= 0:
            return False
        if len(self._verified) >= _MOST_VERIFIED:
            self._verified.clear()
        self._verified[given] = now + min(left, SIGNED_SECONDS)
        return True


def _claims(given: bytes, token: str, agent_id: str) -> dict[str, Any] | None:
    """Give the claims of a JWT that this token signed for this agent, or None; its times are not judged here."""
    import jwt  # noqa: PLC0415  # 60 ms that an adapter pays only where a manager signs

    required = ["iss", "aud", "iat", "exp"]
    options: Any = {"require": required, "strict_aud": True, "verify_exp": False, "verify_iat": False}
    try:
        claims: dict[str, Any] = jwt.decode(
            given, signing_key(token.encode()), [ALGORITHM], options, audience=agent_id, issuer=ISSUER
        )
    except (jwt.PyJWTError, ValueError):
        return None
    times = (claims["iat"], claims["exp"])
    return claims if all(type(time) is int for time in times) else None
