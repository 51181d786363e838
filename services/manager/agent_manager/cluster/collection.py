"""What is watched, and who is told of it."""

from typing import Protocol

from msgspec import Raw, Struct

from agent_manager.cluster.objects import Metadata


class Collection(Struct, frozen=True):
    """The objects of one kind in one namespace."""

    prefix: str
    """`/api/v1`, `/apis/apps/v1`."""
    plural: str
    namespace: str

    @property
    def path(self) -> str:
        """Where the API has them."""
        return f"{self.prefix}/namespaces/{self.namespace}/{self.plural}"

    @property
    def resource(self) -> str:
        """As `kubectl auth can-i` names them: `pods`, `deployments.apps`."""
        parts = self.prefix.split("/")
        return f"{self.plural}.{parts[2]}" if parts[1] == "apis" else self.plural


class Mirror(Protocol):
    """Is told of each object. It raises for none, however odd."""

    def seen(self, metadata: Metadata, thing: Raw) -> None:
        """Take an object that is new, or another than before."""

    def gone(self, uid: str) -> None:
        """Take that an object is there no more."""

    def listed(self) -> None:
        """Take that everything was told that there is."""
