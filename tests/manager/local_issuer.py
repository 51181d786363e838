"""An OpenID Connect issuer on this machine, with keys that rotate."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
AUDIENCE = "agent-manager"


def public(key: Private) -> dict[str, Any]:
    """Give a key's public half as the issuer publishes it."""
    if isinstance(key, rsa.RSAPrivateKey):
        return dict(RSAAlgorithm.to_jwk(key.public_key(), as_dict=True))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return dict(ECAlgorithm.to_jwk(key.public_key(), as_dict=True))
    return dict(OKPAlgorithm.to_jwk(key.public_key(), as_dict=True))


class LocalIssuer:
    """Publishes `published`, and signs with `keys`; counts how often its keys were asked for."""

    def __init__(self) -> None:
        self.keys: dict[str, Private] = {"one": ec.generate_private_key(ec.SECP256R1())}
        self.published: list[dict[str, Any]] = []
        self.publish()
        self.url = ""
        self.says: dict[str, Any] = {}
        """What its discovery document says otherwise."""
        self.away = False
        self.asked = 0

    def publish(self) -> None:
        """Publish the keys that there are."""
        self.published = [{**public(key), "kid": kid} for kid, key in self.keys.items()]

    def token(self, kid: str = "one", algorithm: str = "ES256", **claims: Any) -> str:
        """Give a token; a claim of None is left out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 300, "roles": ["admin"]}
        said = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(said, self.keys[kid], algorithm, headers={"kid": kid})

    def answer(self, target: str) -> tuple[int, Any]:
        """Give status and document."""
        if self.away:
            return 503, {}
        if target.endswith("/.well-known/openid-configuration"):
            return 200, {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.says}
        self.asked += 1
        return 200, {"keys": self.published}


@contextlib.asynccontextmanager
async def issuing() -> AsyncIterator[LocalIssuer]:
    """Give an issuer that listens."""
    issuer = LocalIssuer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            status, document = issuer.answer(head.split()[1].decode())
            body = json.dumps(document).encode()
            writer.write(
                b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
            )
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/realms/agents"
    async with server:
        yield issuer
