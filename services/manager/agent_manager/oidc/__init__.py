"""People and programs whom an OpenID Connect issuer vouches for: its tokens, checked with keys that it publishes."""

from agent_manager.oidc.issuer import Issuer, OidcFailed
from agent_manager.oidc.settings import OidcSettings, read_settings
from agent_manager.oidc.tokens import OidcTokens, Person

__all__ = ["Issuer", "OidcFailed", "OidcSettings", "OidcTokens", "Person", "read_settings"]
