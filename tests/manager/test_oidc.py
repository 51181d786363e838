"""People whom an issuer vouches for, at a manager that reads a real issuer's keys over HTTP."""

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import jwt
import pytest
from agent_contract.loading import ConfigurationError
from agent_manager.oidc import read_settings
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.manager.local_issuer import AUDIENCE, LocalIssuer, issuing
from tests.manager.manager_rig import ALL, ManagerRig, running_manager


class Desk:
    """A manager that believes an issuer."""

    def __init__(self, stack: AsyncExitStack, issuer: LocalIssuer) -> None:
        self.stack = stack
        self.issuer = issuer
        self.rig: ManagerRig

    async def open(self, **variables: str) -> None:
        """Start the manager."""
        named = {"MANAGER_OIDC_ISSUER": self.issuer.url, "MANAGER_OIDC_AUDIENCE": AUDIENCE, **variables}
        self.rig = await self.stack.enter_async_context(running_manager(environment=named))

    async def looks(self, token: str) -> int:
        """Give the status of a viewer's request."""
        return (await self.rig.client.get(ALL, headers={"authorization": f"Bearer {token}"})).status_code

    async def orders(self, token: str) -> int:
        """Give the status of an operator's request."""
        named = {"authorization": f"Bearer {token}"}
        path = f"{ALL}/nobody/action"
        return (await self.rig.client.post(path, json={"action": "pause"}, headers=named)).status_code


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """Give a manager to start, beside its issuer."""
    async with AsyncExitStack() as stack:
        yield Desk(stack, await stack.enter_async_context(issuing()))


async def test_an_issuer_closes_the_routes_of_people_and_its_token_opens_them(desk: Desk) -> None:
    """As API keys do; the adapters' routes have their own credentials."""
    await desk.open()
    assert (await desk.rig.client.get(ALL)).status_code == 401
    assert await desk.looks(desk.issuer.token()) == 200
    assert await desk.orders(desk.issuer.token()) == 404


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"roles": ["admin", "viewer"]}, (200, 404)),
        ({"roles": "email viewer"}, (200, 403)),
        ({"roles": ["somebody"]}, (403, 403)),
        ({"roles": None}, (403, 403)),
        ({"roles": [1, None, {"admin": 1}]}, (403, 403)),
        ({"roles": {"admin": True}}, (403, 403)),
    ],
)
async def test_the_highest_role_of_the_claim_counts(
    desk: Desk, claims: dict[str, Any], expected: tuple[int, int]
) -> None:
    """One who has none is known and may do nothing."""
    await desk.open()
    token = desk.issuer.token(**claims)
    assert (await desk.looks(token), await desk.orders(token)) == expected


async def test_an_issuer_s_own_names_of_roles_are_mapped(desk: Desk) -> None:
    """In a claim within a claim, too; our own names mean nothing then."""
    await desk.open(
        MANAGER_OIDC_ROLES="operator=dev team,viewer=staff".replace(" ", "-"),
        MANAGER_OIDC_ROLE_CLAIM="realm_access.roles",
    )
    operator = desk.issuer.token(realm_access={"roles": ["dev-team"]})
    impostor = desk.issuer.token(realm_access={"roles": ["admin"]}, roles=["admin"])
    assert (await desk.looks(operator), await desk.orders(operator)) == (200, 404)
    assert await desk.looks(impostor) == 403


NOW = int(time.time())


@pytest.mark.parametrize(
    "claims",
    [
        *({"aud": "another"}, {"aud": None}, {"iss": "https://elsewhere.test"}, {"iss": None}, {"sub": None}),
        *({"exp": NOW - 600}, {"exp": None}, {"exp": "never"}, {"nbf": NOW + 7200}, {"iat": NOW + 7200}),
    ],
)
async def test_a_token_that_is_not_meant_for_this_manager_now_opens_nothing(desk: Desk, claims: dict[str, Any]) -> None:
    """Audience, issuer, subject and times."""
    await desk.open()
    assert await desk.looks(desk.issuer.token(**claims)) == 401


async def test_clocks_may_be_a_minute_apart(desk: Desk) -> None:
    """The issuer's and the manager's."""
    await desk.open()
    now = int(time.time())
    assert await desk.looks(desk.issuer.token(exp=now - 30)) == 200
    assert await desk.looks(desk.issuer.token(nbf=now + 30, iat=now + 30)) == 200


def unsigned(token: str, **header: str) -> tuple[str, bytes]:
    """Give a token's first two parts with another header, and what would be signed."""
    head = base64.urlsafe_b64encode(json.dumps({"typ": "JWT", "kid": "one", **header}).encode()).rstrip(b"=").decode()
    parts = f"{head}.{token.split('.')[1]}"
    return parts, parts.encode()


async def test_what_a_token_says_of_its_algorithm_counts_for_nothing(desk: Desk) -> None:
    """`none`, and the public key taken for a shared secret (RFC 8725, 2.1), a stranger's key, a key in the header."""
    await desk.open()
    good, own = desk.issuer.token(), desk.issuer.keys["one"]
    pem = own.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    parts, signed = unsigned(good, alg="HS256")
    mac = jwt.get_algorithm_by_name("HS256")
    confused = f"{parts}.{base64.urlsafe_b64encode(mac.sign(signed, pem)).rstrip(b'=').decode()}"
    desk.issuer.keys["one"] = ec.generate_private_key(ec.SECP256R1())
    strange = desk.issuer.token()
    bare = f"{unsigned(good, alg='none')[0]}."
    for forged in (bare, confused, strange, good[:-8] + "AAAAAAAA", "a.b.c", good + ".x"):
        assert await desk.looks(forged) == 401
    assert await desk.looks(good) == 200


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", rsa.generate_private_key(65537, 2048)),
        ("PS256", rsa.generate_private_key(65537, 2048)),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ],
    ids=["RS256", "PS256", "EdDSA"],
)
async def test_these_algorithms_are_taken(
    desk: Desk, algorithm: str, key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
) -> None:
    """With ES256, which the other tests use."""
    desk.issuer.keys["two"] = key
    desk.issuer.publish()
    await desk.open()
    assert await desk.looks(desk.issuer.token("two", algorithm)) == 200


async def test_keys_that_must_not_sign_are_left_out(desk: Desk) -> None:
    """Symmetric ones, those for encryption, short ones, those of a curve that we do not take, those without an id."""
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505  # that is the point
    desk.issuer.keys |= {"short": short, "curve": ec.generate_private_key(ec.SECP384R1())}
    desk.issuer.publish()
    desk.issuer.published += [
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
        {**desk.issuer.published[0], "kid": "encrypts", "use": "enc"},
        {**desk.issuer.published[0], "kid": "other", "alg": "RS256"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "?"},
    ]
    await desk.open()
    assert await desk.looks(desk.issuer.token()) == 200
    oidc = desk.rig.parts._oidc
    assert oidc is not None
    assert set(oidc.issuer.keys) == {"one"}


async def test_a_new_key_is_asked_for_and_no_request_is_refused_for_it(desk: Desk) -> None:
    """At most each 30 s because of keys that nobody knows: anyone can make those up."""
    await desk.open()
    assert await desk.looks(desk.issuer.token()) == 200
    oidc = desk.rig.parts._oidc
    assert oidc is not None
    oidc.issuer._tried_at -= 31
    desk.issuer.keys = {"two": ec.generate_private_key(ec.SECP256R1())}
    desk.issuer.publish()
    before = desk.issuer.asked
    assert await desk.looks(desk.issuer.token("two")) == 200
    desk.issuer.keys["made-up"] = ec.generate_private_key(ec.SECP256R1())
    assert [await desk.looks(desk.issuer.token("made-up")) for _ in range(5)] == [401] * 5
    assert desk.issuer.asked == before + 1


async def test_a_key_that_the_issuer_withdrew_opens_nothing_once_that_is_known(desk: Desk) -> None:
    """Also where its token was good a moment ago."""
    await desk.open()
    token = desk.issuer.token()
    assert await desk.looks(token) == 200
    desk.issuer.keys = {"two": ec.generate_private_key(ec.SECP256R1())}
    desk.issuer.publish()
    oidc = desk.rig.parts._oidc
    assert oidc is not None
    oidc.issuer._tried_at -= 31
    assert await desk.looks(desk.issuer.token("two")) == 200
    assert await desk.looks(token) == 401


@pytest.mark.parametrize(
    "says", [{"issuer": "https://elsewhere.test"}, {"jwks_uri": "http://10.0.0.1/keys"}, {"jwks_uri": 7}]
)
async def test_keys_stay_while_the_issuer_says_something_else(desk: Desk, says: dict[str, object]) -> None:
    """Or nothing at all: what was known stays."""
    await desk.open()
    assert await desk.looks(desk.issuer.token()) == 200
    oidc = desk.rig.parts._oidc
    assert oidc is not None
    for away in (False, True):
        desk.issuer.says, desk.issuer.away = says, away
        await oidc.issuer._turn()
        assert await desk.looks(desk.issuer.token()) == 200


@pytest.mark.parametrize(
    ("variables", "place"),
    [
        ({"MANAGER_OIDC_ISSUER": "http://issuer.test"}, "MANAGER_OIDC_ISSUER"),
        ({"MANAGER_OIDC_ISSUER": "https://user@issuer.test"}, "MANAGER_OIDC_ISSUER"),
        ({"MANAGER_OIDC_ISSUER": "issuer.test"}, "MANAGER_OIDC_ISSUER"),
        ({"MANAGER_OIDC_ISSUER": "https://issuer.test"}, "MANAGER_OIDC_AUDIENCE"),
        (
            {
                "MANAGER_OIDC_ISSUER": "https://issuer.test",
                "MANAGER_OIDC_AUDIENCE": "a",
                "MANAGER_OIDC_ROLES": "chief=ops",
            },
            "MANAGER_OIDC_ROLES",
        ),
    ],
)
def test_a_configuration_that_would_let_others_in_stops_the_start(variables: dict[str, str], place: str) -> None:
    """Keys over plain HTTP, tokens for anybody, roles that are none."""
    with pytest.raises(ConfigurationError) as caught:
        read_settings(variables)
    assert caught.value.path == place
