"""The span of each try of a call: which instance, the how manyeth, what came of it."""

from agent_contract.tracing import Kind, Span, names

from agent_manager.agent_client import CallError, CallTimedOut, ConnectFailed, Response
from agent_manager.answers import REFUSED
from agent_manager.forward import Forward
from agent_manager.records import Instance

_FAILED = 400


def begin(call: Forward, instance: Instance) -> Span:
    """Begin the span of a try; what the instance is sent is inside it."""
    call.tries += 1
    span = call.span
    if not span.recording:
        return span
    origin = instance.origin
    attributes: dict[str, str | int] = {
        names.METHOD: "POST",
        names.URL: f"{origin}/execute",
        names.SERVER_ADDRESS: origin.host,
        names.SERVER_PORT: origin.port,
        names.INSTANCE_ID: instance.instance_id,
    }
    if call.tries > 1:
        attributes[names.RESENDS] = call.tries - 1
    call.attempt = span.child("POST", Kind.CLIENT, attributes)
    return call.attempt


def answered(attempt: Span, response: Response) -> None:
    """Say what the instance answered; a refusal by its code."""
    if not attempt.recording:
        return
    refusal = response.header(REFUSED)
    outcome = "answered" if refusal is None else "refused"
    attempt.set({names.STATUS: response.status, names.OUTCOME: outcome})
    if response.status >= _FAILED:
        attempt.fail(str(response.status) if refusal is None else refusal.decode("latin-1"))


def failed(attempt: Span, error: CallError) -> None:
    """Say that no whole answer came."""
    if attempt.recording:
        outcome = _outcome(error)
        attempt.set({names.OUTCOME: outcome})
        attempt.fail(outcome)


def _outcome(error: CallError) -> str:
    if isinstance(error, ConnectFailed):
        return "connect-failed"
    return "timed-out" if isinstance(error, CallTimedOut) else "connection-lost"
