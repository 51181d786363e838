"""The names of attributes: HTTP's are stable (semantic conventions, 1.23), the GenAI ones still in development."""

from typing import Final

from agent_contract.tracing.spans import Kind, Span

ERROR_TYPE: Final = "error.type"
METHOD: Final = "http.request.method"
ROUTE: Final = "http.route"
STATUS: Final = "http.response.status_code"
RESENDS: Final = "http.request.resend_count"
URL: Final = "url.full"
PATH: Final = "url.path"
SCHEME: Final = "url.scheme"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
CLIENT_ADDRESS: Final = "client.address"
PROTOCOL_VERSION: Final = "network.protocol.version"
USER_AGENT: Final = "user_agent.original"

CALLER: Final = "agent_orchestration.caller"
TASK_ID: Final = "agent_orchestration.task_id"
INSTANCE_ID: Final = "agent_orchestration.instance_id"
OUTCOME: Final = "agent_orchestration.outcome"
HELD_SECONDS: Final = "agent_orchestration.held_seconds"
QUEUED_SECONDS: Final = "agent_orchestration.queued_seconds"
ACTION: Final = "agent_orchestration.action"

OPERATION: Final = "gen_ai.operation.name"
AGENT_ID: Final = "gen_ai.agent.id"
AGENT_NAME: Final = "gen_ai.agent.name"
INVOKE_AGENT: Final = "invoke_agent"


def invocation(inside: Span, agent_id: str, agent_name: str) -> Span:
    """Begin the span of agent code at work; no prompt, parameter or result is ever in it."""
    if not inside.recording:
        return inside
    attributes = {OPERATION: INVOKE_AGENT, AGENT_ID: agent_id, AGENT_NAME: agent_name}
    return inside.child(f"{INVOKE_AGENT} {agent_id}", Kind.INTERNAL, attributes)
