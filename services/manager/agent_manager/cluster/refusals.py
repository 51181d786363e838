"""What an API server's refusal means to who gave an order."""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from agent_contract.problems import Problem

from agent_manager.cluster.api import ApiFailed, ApiUnreachable

RETRY_AFTER_SECONDS: Final = 5
"""What a client is told where the API server did not say: a restart of one takes about that long."""
_FORBIDDEN: Final = 403
_GONE: Final = 404
_CONFLICT: Final = 409
_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500
_RBAC: Final = re.compile(r'User "([^"]*)" cannot (\S+) resource "([^"]*)" in API group "([^"]*)"')


@contextmanager
def translated(verb: str, resource: str, namespace: str, name: str = "") -> Iterator[None]:
    """Raise what the API server says, or that it says nothing, as a Problem.

    `verb` and `resource` are as RBAC spells them: `patch`, `deployments.apps`.

    Raises:
        Problem: 403 `rbac-denied`, 503 `unavailable`, 409 `not-supported` for what the cluster does not admit.

    """
    try:
        yield
    except ApiFailed as error:
        raise _problem(error, verb, resource, namespace, name) from error
    except ApiUnreachable as error:
        raise away(f"the API server does not answer: {error}") from error


def away(detail: str, retry_after_seconds: float | None = None) -> Problem:
    """Give the 503 of an order that was not carried out."""
    seconds = RETRY_AFTER_SECONDS if retry_after_seconds is None else max(1, math.ceil(retry_after_seconds))
    return Problem("unavailable", detail, headers={"Retry-After": str(seconds)})


def _problem(error: ApiFailed, verb: str, resource: str, namespace: str, name: str) -> Problem:
    what = f"{verb} {resource}{f'/{name}' if name else ''} in namespace {namespace}"
    if error.status == _FORBIDDEN and (denied := _RBAC.search(error.message)) is not None:
        return _denied(verb, resource, namespace, name, denied[1])
    if error.status == _GONE:
        return away(f"cannot {what}: it is there no more")
    if error.status == _CONFLICT:
        return away(f"cannot {what}: others change it all the while", 1)
    if error.status == _TOO_MANY or error.status >= _SERVER_ERRORS:
        return away(f"cannot {what}: the API server says {error}", error.retry_after_seconds)
    return Problem("not-supported", f"cannot {what}: the cluster does not admit it: {error.message[:500]}")


def _denied(verb: str, resource: str, namespace: str, name: str, user: str) -> Problem:
    """Give the 403 with the command that shows it to a person who may look."""
    target = f"{resource}/{name}" if name else resource
    command = f"kubectl auth can-i {verb} {target} --namespace {namespace} --as={user}"
    detail = f"{user} may not {verb} {resource} in namespace {namespace}: give it that right, and see: {command}"
    return Problem("rbac-denied", detail)
