"""The way to a manager: an address that was said, or one that has to be opened first and may break."""

from typing import Protocol

from agent_contract.shown import shown_url


class Route(Protocol):
    """One way to one manager. Several threads may ask it."""

    @property
    def name(self) -> str:
        """Give what messages call the manager: its URL, or its Service."""

    @property
    def secure(self) -> bool:
        """Tell whether HTTPS is spoken there."""

    @property
    def advice(self) -> str:
        """Tell what to do about a manager that cannot be reached."""

    def open(self) -> str:
        """Give the URL for the next request, without a slash at its end; raises CommandFailed where there is none."""

    def answered(self) -> None:
        """Be told that the way led there."""

    def broke(self) -> None:
        """Be told that a request got no whole answer."""

    def close(self) -> None:
        """Leave nothing behind."""


class Direct:
    """A URL that was said."""

    advice = "is it running (agentctl up)? --manager or AGENT_MANAGER_URL says where it is"

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self.name = shown_url(self._url)
        self.secure = self._url.startswith("https:")

    def open(self) -> str:
        """Give it."""
        return self._url

    def answered(self) -> None:
        """Do nothing: there is nothing to keep open."""

    def broke(self) -> None:
        """Do nothing: the next request may find it again."""

    def close(self) -> None:
        """Do nothing: nothing was opened."""
