"""What an adapter takes as proof that its manager asks."""

import os
from email.utils import formatdate
from pathlib import Path
from typing import Any

import jwt
import pytest
from agent_adapter.credentials import ManagerTokens
from agent_contract.tokens import HEADER, signing_key

from tests.adapter.hand_clock import HandClock

NOON = 1_800_000_000.0
MANAGER = ("127.0.0.1", 8080)


class Place:
    """An adapter's tokens, with clocks that are moved by hand; its wall clock is `ahead` of the manager's."""

    def __init__(self, *tokens: str, path: Path | None = None, ahead: float = 0.0) -> None:
        self.clock = HandClock()
        named = None if path is None else str(path)
        self.tokens = ManagerTokens("planner", tokens, named, clock=self.clock, wall=lambda: NOON + ahead)

    def signed(self, by: str = "own", **claims: Any) -> bytes:
        """Give what a manager signs at noon."""
        said = {"iss": "agent-manager", "aud": "planner", "iat": int(NOON), "exp": int(NOON) + 60, **claims}
        return jwt.encode(said, signing_key(by.encode()), "HS256").encode()

    def hears(self, at: float = NOON) -> None:
        """Let the manager answer a beat."""
        self.tokens.heard(MANAGER, formatdate(at, usegmt=True))


def test_any_of_its_tokens_is_proof_and_the_first_is_sent() -> None:
    """Several are valid at once while they rotate."""
    place = Place("new", "old")
    assert [place.tokens.accepts(given) for given in (b"new", b"old", b"other", b"", b"n\xff")] == [
        True,
        True,
        *[False] * 3,
    ]
    assert place.tokens.headers == {HEADER: "new"}


def test_what_its_token_signed_for_it_is_proof() -> None:
    """The manager does not say the token itself."""
    assert Place("own").tokens.accepts(Place("own").signed())


@pytest.mark.parametrize(
    "claims",
    [
        *({"aud": "executor"}, {"aud": ["planner", "executor"]}, {"aud": None}, {"iss": "somebody"}),
        *({"exp": int(NOON) - 6}, {"exp": int(NOON) + 3600}, {"exp": None}, {"iat": None}, {"exp": 1e300}),
    ],
)
def test_what_was_signed_for_another_or_for_too_long_is_none(claims: dict[str, Any]) -> None:
    """Audience, issuer and both times are needed, and right."""
    place = Place("own")
    place.hears()
    assert not place.tokens.accepts(place.signed(**claims))


def test_what_another_token_signed_is_none() -> None:
    """Nor the shared token's, nor with the token itself as the key, nor with no signature at all."""
    place = Place("own")
    claims = {"iss": "agent-manager", "aud": "planner", "iat": int(NOON), "exp": int(NOON) + 60}
    forged = [
        place.signed("another"),
        jwt.encode(claims, "own".ljust(32), "HS256").encode(),
        jwt.encode(claims, "", "none").encode(),
        place.signed()[:-2] + b"AA",
        place.signed() + b"." + b"A" * 1024,
    ]
    assert [place.tokens.accepts(given) for given in forged] == [False] * len(forged)


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_a_clock_that_is_an_hour_off_changes_nothing(ahead: float) -> None:
    """The manager's own clock says when its token is over: what its answers tell of it."""
    place = Place("own", ahead=ahead)
    place.hears()
    assert place.tokens.accepts(place.signed())
    place.clock.now += 60 + 6
    assert not place.tokens.accepts(place.signed())


def test_any_manager_s_clock_will_do() -> None:
    """Of two managers with clocks an hour apart both are heard; one that is gone counts no more."""
    place = Place("own")
    place.hears(NOON + 3600)
    place.tokens.heard(("127.0.0.2", 8080), formatdate(NOON, usegmt=True))
    assert place.tokens.accepts(place.signed())
    place.tokens.forget(("127.0.0.2", 8080))
    assert not place.tokens.accepts(place.signed(iat=int(NOON) - 1))


@pytest.mark.parametrize("date", ["", "noon", "Thu, 01 Jan 99999 00:00:00 GMT", "Mon, 99 Jan 2030 00:00:00 GMT"])
def test_an_answer_without_a_sound_date_moves_no_clock(date: str) -> None:
    """Whatever answers at the manager's address."""
    place = Place("own")
    place.tokens.heard(MANAGER, date)
    assert place.tokens.accepts(place.signed())


def rewritten(path: Path, text: str) -> None:
    """Write a file anew, with another time of change."""
    path.write_text(text)
    os.utime(path, ns=(1, 1))


def test_a_replaced_token_is_refused_within_a_second(tmp_path: Path) -> None:
    """What the replaced one signed is good for as long as a manager may not have heard of the new one."""
    path = tmp_path / "token"
    path.write_text("own\n")
    place = Place(path=path)
    place.hears()
    assert place.tokens.accepts(b"own")
    rewritten(path, "next\n")
    place.clock.now += 1
    assert (place.tokens.accepts(b"own"), place.tokens.accepts(b"next")) == (False, True)
    assert place.tokens.headers == {HEADER: "next"}
    assert place.tokens.accepts(place.signed("own"))
    place.clock.now += 100
    later = {"iat": int(NOON) + 101, "exp": int(NOON) + 161}
    assert not place.tokens.accepts(place.signed("own", **later))
    assert place.tokens.accepts(place.signed("next", **later))


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    """Half a rotation opens nothing and locks nobody out."""
    path = tmp_path / "token"
    path.write_text("own")
    place = Place(path=path)
    rewritten(path, "")
    place.clock.now += 1
    assert (place.tokens.configured, place.tokens.accepts(b"own"), place.tokens.accepts(b"")) == (True, True, False)
