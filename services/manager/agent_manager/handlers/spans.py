"""The span of a request that the framework handles; the raw ones have their own."""

import contextlib
from collections.abc import Iterator
from typing import cast

import structlog
from agent_contract.asgi import Scope
from agent_contract.problems import Problem
from agent_contract.tracing import Span
from agent_contract.tracing.http import answered, request_attributes

from agent_manager.handlers.requests import AnyRequest, manager_of


@contextlib.contextmanager
def traced(request: AnyRequest, route: str, status: int) -> Iterator[Span]:
    """Give the request's span while it is answered, with this status if all goes well.

    Log lines of what is begun in it carry its ids, also when that outlives the answer.
    """
    scope = cast("Scope", request.scope)
    span = manager_of(request).tracing.server(f"{scope['method']} {route}", scope["headers"])
    if span.recording:
        span.set(request_attributes(scope, route))
    with structlog.contextvars.bound_contextvars(**span.ids):
        try:
            yield span
        except Problem as problem:
            answered(span, problem.status)
            raise
        except Exception as error:
            span.fail(type(error).__qualname__)
            raise
        else:
            answered(span, status)
        finally:
            span.end()
