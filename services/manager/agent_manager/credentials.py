"""The secrets that the manager accepts, read again when their files change, so that they rotate without a restart.

Every secret is found by its SHA-256: a look-up takes one hash whatever the number of secrets, and its time says nothing
of them, because nobody can choose a digest. A plain hash is enough where secrets are random and long; a slow one guards
what people make up, costs 50 ms a request, and would make every request a way to overload the manager.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Final, Literal, get_args

import msgspec
from agent_contract.identity import is_agent_id
from agent_contract.loading import ConfigurationError
from agent_contract.tokens import parse_tokens, split_tokens
from agent_contract.watched_file import WatchedFile

from agent_manager.oidc.settings import read_settings

Role = Literal["viewer", "operator", "admin"]

_HASHED: Final = re.compile(r"sha256:([0-9a-f]{64})\Z")
_NAME: Final = re.compile(r"[!-~]{1,64}\Z")
"""It travels in a header, as the caller of a task, and stands in logs."""


class ApiKey(msgspec.Struct, frozen=True):
    """Whose key it is and what it may do; the key itself is not kept."""

    name: str
    role: Role


class AgentTokens(msgspec.Struct, frozen=True):
    """What the file of the agents' own tokens says."""

    agents: Mapping[bytes, str]
    """The agent of each token, by the token's SHA-256."""
    first: Mapping[str, bytes]
    """The first token of each agent: an instance that has not said anything yet is spoken to by it."""

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.agents)


class Credentials:
    """Manager tokens, the agents' own tokens, and API keys, as they stand at the moment of asking."""

    def __init__(self, process: Mapping[str, str], clock: Callable[[], float]) -> None:
        """Read all of them; raises ConfigurationError for a file that cannot be read or understood."""
        path = process.get("MANAGER_TOKEN_FILE")
        inline = split_tokens(process.get("MANAGER_TOKEN", ""))
        self._tokens = WatchedFile("MANAGER_TOKEN_FILE", path, parse_tokens, clock, inline if not path else ())
        no_tokens = AgentTokens({}, {})
        empty_keys: dict[bytes, ApiKey] = {}
        self._agents = WatchedFile(
            "MANAGER_AGENT_TOKENS_FILE", process.get("MANAGER_AGENT_TOKENS_FILE"), _agent_tokens, clock, no_tokens
        )
        self._keys = WatchedFile(
            "MANAGER_API_KEYS_FILE", process.get("MANAGER_API_KEYS_FILE"), _api_keys, clock, empty_keys
        )
        self.token_audience = process.get("MANAGER_TOKEN_REVIEW_AUDIENCE") or None
        """For whom the cluster's tokens are to be made out; None where none are taken."""
        self.oidc = read_settings(process)
        """Whose tokens are taken beside the keys."""
        self._digests: tuple[tuple[str, ...], frozenset[bytes]] = ((), frozenset())

    @property
    def manager_token(self) -> str | None:
        """The token that is sent to adapters: the first of those configured."""
        tokens = self._tokens.value()
        return tokens[0] if tokens else None

    @property
    def manager_tokens(self) -> tuple[str, ...]:
        """Every manager token that is accepted, the one that is sent first."""
        return self._tokens.value()

    @property
    def closes_adapter_routes(self) -> bool:
        """Whether a manager token, an agent's own or the review of the cluster's is configured."""
        return bool(self._tokens.configured or self._agents.configured or self.reviews_tokens)

    @property
    def reviews_tokens(self) -> bool:
        """Whether agents may come with tokens that the cluster gives them."""
        return self.token_audience is not None

    @property
    def closes_client_routes(self) -> bool:
        """Whether API keys or an OpenID Connect issuer are configured."""
        return self._keys.configured or self.oidc is not None

    def is_manager_token(self, secret: bytes) -> bool:
        """Tell whether this is one of the manager's tokens."""
        tokens = self._tokens.value()
        if self._digests[0] is not tokens:
            self._digests = (tokens, frozenset(_digest(token.encode()) for token in tokens))
        return _digest(secret) in self._digests[1]

    def agent_of(self, secret: bytes) -> str | None:
        """Give the agent whose own token this is, or None."""
        return self._agents.value().agents.get(_digest(secret))

    def first_token_of(self, agent_id: str) -> bytes | None:
        """Give the first of an agent's own tokens, or None where it has none."""
        return self._agents.value().first.get(agent_id)

    def api_keys(self) -> Mapping[bytes, ApiKey]:
        """Give every API key by its SHA-256."""
        return self._keys.value()

    def key_of(self, secret: bytes) -> ApiKey | None:
        """Give whose API key this is, or None."""
        return self._keys.value().get(_digest(secret))


def _agent_tokens(variable: str, text: str) -> AgentTokens:
    agents: dict[bytes, str] = {}
    first: dict[str, bytes] = {}
    for number, words in _lines(text):
        if len(words) != 2 or not is_agent_id(words[0]):  # noqa: PLR2004  # an id and a token
            raise ConfigurationError(variable, f"line {number}: write an agent id and its token")
        agent_id, token = words[0], words[1].encode()
        if agents.setdefault(_digest(token), agent_id) != agent_id:
            raise ConfigurationError(variable, f"line {number}: an agent before has this token too")
        first.setdefault(agent_id, token)
    return AgentTokens(agents, first)


def _api_keys(variable: str, text: str) -> dict[bytes, ApiKey]:
    found: dict[bytes, ApiKey] = {}
    for number, words in _lines(text):
        if len(words) != 3 or words[1] not in get_args(Role):  # noqa: PLR2004  # a name, a role and a key
            raise ConfigurationError(variable, f"line {number}: write name, role ({', '.join(get_args(Role))}) and key")
        name, role, secret = words
        hashed = _HASHED.match(secret)
        if hashed is None and secret.startswith("sha256:"):
            raise ConfigurationError(variable, f"line {number}: a hash is sha256: and 64 hex digits in lower case")
        if not _NAME.match(name):
            raise ConfigurationError(variable, f"line {number}: a name has 1 to 64 visible ASCII characters")
        digest = bytes.fromhex(hashed[1]) if hashed else _digest(secret.encode())
        found[digest] = msgspec.convert({"name": name, "role": role}, ApiKey)
    return found


def _lines(text: str) -> list[tuple[int, list[str]]]:
    """Give the words of each line with its number, without empty lines and those that begin with `#`."""
    numbered = ((number, line.split()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, words) for number, words in numbered if words and not words[0].startswith("#")]


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
