"""The console's sessions: what a cookie stands for, and what ends it; and how often one may guess."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from agent_contract.problems import Problem
from agent_manager.credentials import ApiKey
from agent_manager.login_attempts import MOST_FAILURES, LoginAttempts
from agent_manager.sessions import LASTS_SECONDS

from tests.manager.key_desk import KEYS, NOON, Desk
from tests.manager.stage import Clock


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Give a desk."""
    return Desk(tmp_path)


def test_a_session_stands_for_its_key(desk: Desk) -> None:
    """With the name and the role that the file says."""
    sessions = desk.manager()
    opened = sessions.open(b"viewer-key")
    read = sessions.read(opened.token)
    assert read is not None
    assert read.key == ApiKey("vera", "viewer")
    assert read.ends_at == NOON + timedelta(hours=12)
    assert "viewer-key" not in opened.token


def test_an_unknown_key_opens_none(desk: Desk) -> None:
    """It is 401, as everywhere."""
    with pytest.raises(Problem) as raised:
        desk.manager().open(b"nobody's")
    assert raised.value.code == "unauthenticated"


def test_every_manager_of_several_takes_it_also_after_a_restart(desk: Desk) -> None:
    """They have the same secrets, and nothing is kept anywhere."""
    token = desk.manager().open(b"operator-key").token
    assert desk.manager().read(token) is not None


def test_without_a_manager_token_a_restart_ends_it(desk: Desk) -> None:
    """Nothing secret is there to derive from but what the process made up; the keys' hashes may be in a file."""
    desk.shared = ""
    first, second = desk.manager(), desk.manager()
    token = first.open(b"operator-key").token
    assert first.read(token) is not None
    assert second.read(token) is None


def test_it_ends_when_its_key_leaves_the_file(desk: Desk) -> None:
    """Within the second in which the file is looked at; another key of the same name does not keep it."""
    sessions = desk.manager()
    token = sessions.open(b"operator-key").token
    desk.rewrite("ola operator another-key\n")
    assert sessions.read(token) is None


def test_a_role_that_is_lowered_is_lower_at_once(desk: Desk) -> None:
    """The cookie does not say what one may do: the file does."""
    sessions = desk.manager()
    token = sessions.open(b"operator-key").token
    desk.rewrite(KEYS.replace("ola operator", "ola viewer"))
    read = sessions.read(token)
    assert read is not None
    assert read.key.role == "viewer"


def test_it_ends_with_the_manager_token_that_it_was_signed_under(desk: Desk) -> None:
    """While a token is rotated both are accepted, and so are both kinds of session."""
    token = desk.manager().open(b"operator-key").token
    desk.shared = "newer-secret,shared-secret"
    assert desk.manager().read(token) is not None
    desk.shared = "newer-secret"
    assert desk.manager().read(token) is None


def test_it_lasts_twelve_hours(desk: Desk) -> None:
    """And not a second more."""
    sessions = desk.manager()
    token = sessions.open(b"operator-key").token
    desk.wall.move(LASTS_SECONDS - 1)
    assert sessions.read(token) is not None
    desk.wall.move(1)
    assert sessions.read(token) is None


def test_a_viewer_s_is_renewed_and_an_operator_s_is_not(desk: Desk) -> None:
    """A wall has nobody to sign in again; what may give orders ends by itself."""
    sessions = desk.manager()
    viewer, operator = sessions.open(b"viewer-key"), sessions.open(b"operator-key")
    assert sessions.renewed(viewer) is None  # it is young
    desk.wall.move(3600)
    renewed = sessions.renewed(viewer)
    assert renewed is not None
    assert renewed.ends_at == NOON + timedelta(hours=13)
    assert sessions.read(renewed.token) == renewed
    assert sessions.renewed(operator) is None


def test_who_signs_out_ends_it_with_all_that_it_was_renewed_to(desk: Desk) -> None:
    """A token that somebody copied opens nothing any more; another session of the same key goes on."""
    sessions = desk.manager()
    first, other = sessions.open(b"viewer-key"), sessions.open(b"viewer-key")
    desk.wall.move(3600)
    renewed = sessions.renewed(first)
    assert renewed is not None
    sessions.end(renewed)
    assert sessions.read(first.token) is None
    assert sessions.read(renewed.token) is None
    assert sessions.read(other.token) is not None


def test_what_is_remembered_of_ended_sessions_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their number, and by the time after which none of their tokens is good."""
    monkeypatch.setattr("agent_manager.sessions._MOST_ENDED", 3)
    sessions = desk.manager()
    opened = [sessions.open(b"viewer-key") for _ in range(5)]
    for one in opened:
        sessions.end(one)
    assert list(sessions._ended) == [one.id for one in opened[2:]]
    desk.wall.move(LASTS_SECONDS)
    last = sessions.open(b"viewer-key")
    sessions.end(last)
    assert list(sessions._ended) == [last.id]


def _unsigned(token: str) -> str:
    head, claims, _ = token.split(".")
    return f"{head}.{claims}."


def _of_no_algorithm(token: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, "", "none", headers={"kid": jwt.get_unverified_header(token)["kid"]})


def _by_the_hash(token: str) -> str:
    """Sign with what stands in the file, for one who read it."""
    claims = jwt.decode(token, options={"verify_signature": False})
    secret = "a" * 64
    return jwt.encode(claims, secret, "HS256", headers={"kid": jwt.get_unverified_header(token)["kid"]})


def _changed(token: str) -> str:
    head, claims, signature = token.split(".")
    return f"{head}.{claims[:-2]}AA.{signature}"


@pytest.mark.parametrize(
    "forge", [_unsigned, _of_no_algorithm, _by_the_hash, _changed, lambda _: "", lambda _: "a.b.c", lambda t: t * 9]
)
def test_a_forged_one_is_none(desk: Desk, forge: Callable[[str], str]) -> None:
    """Whatever it says of itself."""
    sessions = desk.manager()
    assert sessions.read(forge(sessions.open(b"operator-key").token)) is None


def test_a_minute_later_one_may_try_again_and_others_may_all_along() -> None:
    """An IPv6 customer has a whole network of addresses."""
    clock = Clock()
    attempts = LoginAttempts(clock)
    for _ in range(MOST_FAILURES):
        attempts.failed("2001:db8::1")
    attempts.check("2001:db8:0:1::1")
    attempts.check("192.0.2.1")
    with pytest.raises(Problem, match="wait 60 s"):
        attempts.check("2001:db8::ffff")
    clock.now += 60
    attempts.check("2001:db8::1")


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    """The one that failed least lately is forgotten first."""
    attempts = LoginAttempts(Clock())
    for number in range(10_100):
        attempts.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(attempts._failures) == 10_000
