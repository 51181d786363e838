"""The parameters of the API's paths, queries and headers, as the OpenAPI document describes them."""

from typing import Any, Final, get_args

from agent_contract.identity import AGENT_ID_PATTERN
from agent_contract.wire import TaskState

Described = dict[str, dict[str, Any]]

PATH: Final[Described] = {
    "agent_id": {"schema": {"type": "string", "pattern": AGENT_ID_PATTERN}, "example": "planner"},
    "action_id": {"schema": {"type": "string"}, "description": "As the order's answer named it."},
    "task_id": {"schema": {"type": "string"}, "description": "As `X-Task-Id` named it."},
    "version": {"schema": {"type": "string"}, "description": "A hash of all the console's files."},
    "path": {"schema": {"type": "string"}, "description": "A file of the console."},
    "name": {"schema": {"type": "string"}, "description": "A file of the API's page."},
}
QUERY: Final[Described] = {
    "watch": {"schema": {"type": "boolean"}, "description": "Send the listing, then each change, as events."},
    "follow": {"schema": {"type": "boolean"}, "description": "Send these lines, then each new one, as events."},
    "lines": {
        "schema": {"type": "integer", "minimum": 1, "maximum": 5000, "default": 100},
        "description": "How many lines of each instance.",
    },
    "instanceId": {
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        "description": "Only this instance.",
    },
    "agent": {"schema": {"type": "string", "minLength": 1, "maxLength": 63}, "description": "Only this agent's."},
    "state": {"schema": {"type": "string", "enum": list(get_args(TaskState))}, "description": "Only those."},
    "key": {
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": "Only the task that this idempotency key began.",
    },
    "limit": {
        "schema": {"type": "integer", "minimum": 1, "maximum": 11_000, "default": 100},
        "description": "How many at most.",
    },
    "scope": {
        "schema": {"type": "string", "enum": ["self", "all"]},
        "description": "`self` leaves out what agents say of themselves.",
    },
}
HEADERS: Final[Described] = {
    "Accept": {
        "schema": {"type": "string"},
        "description": "`text/event-stream`: send chunks as events while they come.",
    },
    "Prefer": {
        "schema": {"type": "string"},
        "description": "`respond-async`: answer 202 with the task's id at once (RFC 7240).",
    },
    "Idempotency-Key": {
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": "The same key again gives the first result; the work does not run twice.",
    },
    "traceparent": {"schema": {"type": "string"}, "description": "Passed on to the agent (W3C Trace Context)."},
    "Last-Event-ID": {"schema": {"type": "string"}, "description": "Begin after this event."},
}
