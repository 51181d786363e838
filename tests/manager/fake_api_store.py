"""What a fake Kubernetes API server holds: objects with versions, and what happened to them."""

import itertools
import uuid
from collections.abc import Callable
from copy import deepcopy
from typing import Any

Thing = dict[str, Any]


class Refused(Exception):  # noqa: N818  # what happened
    """The server does not do that: an HTTP status and the API's word for it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Store:
    """Objects by the path of their collection (`/api/v1/namespaces/x/pods`) and by name."""

    def __init__(self) -> None:
        self.version = 1000
        """Of the last change."""
        self.oldest = 0
        """From here on it is known what happened."""
        self.log: list[tuple[int, str, str, Thing]] = []
        """Version, collection, `ADDED`, `MODIFIED` or `DELETED`, and the object."""
        self.on_change: Callable[[str, str, Thing], None] = lambda *_: None
        self._things: dict[str, dict[str, Thing]] = {}
        self._numbers = itertools.count(1)

    def put(self, collection: str, thing: Thing) -> Thing:
        """Create or change an object; gives it with its uid, version and generation.

        A version that it brings must be the present one, as the API server demands: else Refused 409.
        """
        thing = deepcopy(thing)
        metadata = thing["metadata"]
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{next(self._numbers)}"
        known = self._things.setdefault(collection, {}).get(metadata["name"])
        if known is not None and metadata.get("resourceVersion") not in (None, known["metadata"]["resourceVersion"]):
            raise Refused(409, "Conflict", "the object has been modified; apply your changes to the latest version")
        kept: Thing = known["metadata"] if known else {"uid": str(uuid.UUID(int=next(self._numbers))), "generation": 0}
        metadata.setdefault("creationTimestamp", kept.get("creationTimestamp", "2026-01-01T00:00:00Z"))
        metadata["uid"] = kept["uid"]
        metadata["generation"] = kept["generation"] + (known is None or known.get("spec") != thing.get("spec"))
        metadata["namespace"] = collection.split("/")[-2]
        self._things[collection][metadata["name"]] = thing
        self._note(collection, "MODIFIED" if known else "ADDED", thing)
        return deepcopy(thing)

    def create(self, collection: str, thing: Thing) -> Thing:
        """Create an object; Refused 409 where one has its name."""
        if thing["metadata"].get("name") in self._things.get(collection, {}):
            raise Refused(409, "AlreadyExists", f"{thing['metadata']['name']!r} already exists")
        return self.put(collection, thing)

    def delete(self, collection: str, name: str) -> Thing:
        """Delete an object at once; Refused 404."""
        thing = self.get(collection, name)
        del self._things[collection][name]
        self._note(collection, "DELETED", thing)
        return thing

    def get(self, collection: str, name: str) -> Thing:
        """Give an object; Refused 404."""
        try:
            return deepcopy(self._things[collection][name])
        except KeyError:
            raise Refused(404, "NotFound", f"{collection.rpartition('/')[2]} {name!r} not found") from None

    def list(self, collection: str, selector: str = "") -> list[Thing]:
        """Give the objects that a selector (`key`, `key=value`, with commas) chooses."""
        return [deepcopy(thing) for thing in self._things.get(collection, {}).values() if is_selected(thing, selector)]

    def patch(self, collection: str, name: str, patch: Thing) -> Thing:
        """Change an object by a merge patch (RFC 7386)."""
        return self.put(collection, _merged(self.get(collection, name), patch))

    def compact(self) -> None:
        """Forget what happened until now."""
        self.oldest = self.version
        self.log.clear()

    def _note(self, collection: str, kind: str, thing: Thing) -> None:
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        self.log.append((self.version, collection, kind, deepcopy(thing)))
        self.on_change(collection, kind, thing)


def is_selected(thing: Thing, selector: str) -> bool:
    """Tell whether the labels of an object are as a selector wants them."""
    labels = thing["metadata"].get("labels") or {}
    for part in filter(None, selector.split(",")):
        key, equals, value = part.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def _merged(thing: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(thing) if isinstance(thing, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
