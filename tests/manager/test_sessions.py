"""The console's sessions: what a cookie stands for, what ends it, and who else may not use it."""

import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from agent_contract.problems import Problem
from agent_manager.credentials import ApiKey, Credentials
from agent_manager.login_attempts import MOST_FAILURES, LoginAttempts
from agent_manager.sessions import LASTS_SECONDS, Sessions

from tests.manager.manager_rig import ALL, ManagerRig, running_manager
from tests.manager.stage import Clock

KEYS = "vera viewer viewer-key\nola operator operator-key\n"
SESSION = "/api/session"
OWN = {"x-requested-with": "agent-console"}
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Wall:
    """A clock on the wall, moved by hand."""

    now = NOON

    def __call__(self) -> datetime:
        """Give the time."""
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Desk:
    """Keys in a file, a clock, and the sessions of one manager or of another beside it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keys"
        self.path.write_text(KEYS)
        self.shared = "shared-secret"
        self.clock, self.wall = Clock(), Wall()

    def manager(self) -> Sessions:
        """Give the sessions of a manager that has just come up."""
        environment = {"MANAGER_API_KEYS_FILE": str(self.path)}
        if self.shared:
            environment["MANAGER_TOKEN"] = self.shared
        return Sessions(Credentials(environment, self.clock), self.wall)

    def rewrite(self, keys: str) -> None:
        """Write the keys anew, and let a second pass."""
        self.path.write_text(keys)
        os.utime(self.path, ns=(1, 1))
        self.clock.now += 1


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


# --- over HTTP ---


@pytest.fixture
async def closed(desk: Desk) -> AsyncIterator[ManagerRig]:
    """Give a manager that asks who one is."""
    environment = {"MANAGER_API_KEYS_FILE": str(desk.path), "MANAGER_TOKEN": desk.shared}
    async with running_manager(environment=environment) as rig:
        yield rig


async def sign_in(rig: ManagerRig, key: str = "operator-key", **headers: str) -> httpx.Response:
    """Give a key."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await rig.client.post(SESSION, json={"key": key}, headers=named)


async def test_the_cookie_is_out_of_reach(closed: ManagerRig) -> None:
    """Of scripts, of other sites, and over https of the network; the answer keeps no copy."""
    plain = await sign_in(closed)
    behind_tls = await sign_in(closed, x_forwarded_proto="https")
    assert plain.status_code == 204
    assert plain.headers["cache-control"] == "no-store"
    assert plain.headers["set-cookie"].startswith("agent-manager=")
    assert plain.headers["set-cookie"].endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict")
    assert behind_tls.headers["set-cookie"].startswith("__Host-agent-manager=")
    assert behind_tls.headers["set-cookie"].endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure")


async def test_it_says_who_one_is_and_ends(closed: ManagerRig) -> None:
    """With the time of its end; afterwards it is 401."""
    assert (await closed.client.get(SESSION)).status_code == 401
    await sign_in(closed)
    said = (await closed.client.get(SESSION)).json()
    assert (said["name"], said["role"]) == ("ola", "operator")
    assert said["endsAt"].endswith("Z")
    assert (await closed.client.delete(SESSION, headers=OWN)).status_code == 204
    assert (await closed.client.get(SESSION)).status_code == 401


async def test_with_no_keys_anybody_may_do_everything(rig: ManagerRig) -> None:
    """A local run asks nobody."""
    assert await rig.get(SESSION) == {"name": None, "role": "admin", "endsAt": None}


async def test_a_key_itself_says_who_one_is_too(closed: ManagerRig) -> None:
    """For programs."""
    answer = await closed.client.get(SESSION, headers={"authorization": "Bearer viewer-key"})
    assert answer.json() == {"name": "vera", "role": "viewer", "endsAt": None}


async def test_an_order_with_a_cookie_needs_our_own_page(closed: ManagerRig) -> None:
    """No other origin, not even one of the same site, and a header that no form can send."""
    await sign_in(closed)
    path = f"{ALL}/echo/action"
    for headers, status in (
        (OWN | {"sec-fetch-site": "same-origin"}, 404),
        (OWN | {"origin": closed.url}, 404),
        ({"sec-fetch-site": "same-origin"}, 403),
        (OWN | {"sec-fetch-site": "same-site"}, 403),
        (OWN | {"sec-fetch-site": "cross-site"}, 403),
        (OWN | {"origin": "http://127.0.0.1:1"}, 403),
        (OWN | {"origin": "null"}, 403),
    ):
        answer = await closed.client.post(path, json={"action": "pause"}, headers=headers)
        assert (answer.status_code, headers) == (status, headers)
        assert answer.json()["code"] == {404: "unknown-agent", 403: "forbidden"}[status]


async def test_a_cookie_cannot_do_more_than_its_role(closed: ManagerRig) -> None:
    """A viewer looks."""
    await sign_in(closed, "viewer-key")
    assert (await closed.client.get(ALL)).status_code == 200
    answer = await closed.client.post(f"{ALL}/echo/action", json={"action": "pause"}, headers=OWN)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"{ALL}/echo/action"), ("POST", f"{ALL}/echo/execute"), ("POST", f"{ALL}/register"), ("POST", SESSION)],
)
async def test_a_page_of_elsewhere_orders_nothing_though_nobody_is_asked_who_they_are(
    rig: ManagerRig, method: str, path: str
) -> None:
    """A manager on loopback is within reach of every page that somebody opens on that machine."""
    await rig.adapter()
    answer = await rig.client.request(method, path, content=b"{}", headers={"origin": "http://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_the_cookie_reaches_no_agent(closed: ManagerRig) -> None:
    """Nor is its caller anybody but the key's name."""
    closed.client.headers["x-manager-token"] = "shared-secret"
    adapter = await closed.adapter()
    del closed.client.headers["x-manager-token"]
    await sign_in(closed)
    answer = await closed.client.post(f"{ALL}/echo/execute", json={"parameters": {}}, headers=OWN)
    assert answer.status_code == 200
    assert "cookie" not in adapter.calls[-1].headers
    assert adapter.calls[-1].headers["x-agent-caller"] == "ola"


async def test_guessing_is_refused_after_ten_failures(closed: ManagerRig) -> None:
    """Also with the right key; the wait is told, and each failure is counted."""
    for _ in range(MOST_FAILURES):
        assert (await sign_in(closed, "guess")).status_code == 401
    answer = await sign_in(closed)
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-attempts")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    page = (await closed.client.get("/metrics?scope=self")).text
    assert f'agent_manager_auth_failures_total{{reason="unknown"}} {MOST_FAILURES}.0' in page


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
