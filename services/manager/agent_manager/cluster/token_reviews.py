"""Whose token is this? asked of the cluster that gave it (TokenReview, authentication.k8s.io/v1).

A projected ServiceAccount token is bound to its pod: it ends with the pod, and the review names the pod.
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens
"""

from typing import Final, Protocol

import msgspec
from msgspec import Struct

from agent_manager.cluster.api import ApiUnreachable

_PATH: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_POD_UID: Final = "authentication.kubernetes.io/pod-uid"
_SECONDS: Final = 3.0
"""An adapter waits for the answer to its beat, and asks again."""


class Api(Protocol):
    """What is needed of the cluster's API."""

    async def request(
        self, method: str, path: str, *, body: bytes | None = None, timeout_seconds: float = 10.0
    ) -> bytes:
        """Give the answer; raises ApiFailed and ApiUnreachable."""


class _User(Struct):
    extra: dict[str, list[str]] = {}


class _Status(Struct):
    authenticated: bool = False
    audiences: list[str] = []
    user: _User | None = None


class _Review(Struct):
    status: _Status


class TokenReviews:
    """Asks whose a token is, for one audience."""

    def __init__(self, api: Api, audience: str) -> None:
        self._api = api
        self._audience = audience

    async def pod_of(self, token: str) -> str | None:
        """Give the UID of the pod that was given this token; None for one that is not good, or of no pod.

        Raises:
            ApiFailed: the manager may not ask, or the API server has too much to do.
            ApiUnreachable: there was no sound answer.

        """
        spec = {"token": token, "audiences": [self._audience]}
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        answer = await self._api.request("POST", _PATH, body=msgspec.json.encode(asked), timeout_seconds=_SECONDS)
        try:
            status = msgspec.json.decode(answer, type=_Review).status
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ApiUnreachable(f"cannot read the review of a token: {error}") from error
        if not status.authenticated or self._audience not in status.audiences or status.user is None:
            return None
        return next(iter(status.user.extra.get(_POD_UID, [])), None)
