"""The secrets between managers and adapters: several may be valid at once, so that they can be rotated.

An adapter says its token as it is. A manager says the shared token as it is, too; to an adapter with a token of its own
it says a JWT (RFC 7519) that is signed with that token, short-lived and for this agent alone: whoever reads it can open
nothing else, and who can verify it learns nothing new.
"""

import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from agent_contract.loading import ConfigurationError

HEADER: Final = "X-Manager-Token"
ISSUER: Final = "agent-manager"
ALGORITHM: Final = "HS256"
SIGNED_SECONDS: Final = 60
"""How long a signed token is good for."""
_LABEL: Final = b"agent-manager to agent, version 1"


def read_tokens(process: Mapping[str, str]) -> tuple[str, ...]:
    """Give the tokens of `MANAGER_TOKEN` or of the file `MANAGER_TOKEN_FILE`; the first is the one to send.

    Raises:
        ConfigurationError: the file cannot be read, or holds no token.

    """
    path = process.get("MANAGER_TOKEN_FILE")
    if not path:
        return split_tokens(process.get("MANAGER_TOKEN", ""))
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError("MANAGER_TOKEN_FILE", f"cannot read {path}: {error}") from error
    return parse_tokens("MANAGER_TOKEN_FILE", text)


def parse_tokens(variable: str, text: str) -> tuple[str, ...]:
    """Give the tokens of the file that a variable names; raises ConfigurationError where it holds none."""
    tokens = split_tokens(text)
    if not tokens:
        raise ConfigurationError(variable, "the file holds no token")
    return tokens


def split_tokens(text: str) -> tuple[str, ...]:
    """Give the tokens of a text, one a line or comma-separated."""
    return tuple(token for token in (part.strip() for part in text.replace(",", "\n").splitlines()) if token)


def signing_key(token: bytes) -> bytes:
    """Give the key that signs in the name of a token: of full length, and good for nothing else (RFC 5869, 2.2)."""
    return hmac.digest(_LABEL, token, "sha256")


def matches(token: str, accepted: Sequence[str]) -> bool:
    """Tell whether the token is one of those accepted, in a time that does not depend on how much of it is right."""
    given = token.encode()
    found = False
    for candidate in accepted:
        found |= hmac.compare_digest(given, candidate.encode())
    return found
