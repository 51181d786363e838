"""The dashboard of the whole fleet: whether everything is there, and how calls go."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.dashboards.panels import RATE, Panel, dashboard_of, lines, number, rows

_TO_RUN = 'max by (agent) (agent_manager_desired_state{state="running"}) == 1'
_UP = "max by (agent, instance_id) (agent_manager_instance_up)"
_INSTANCES = "max by (agent, state) (agent_manager_instances)"
_RUNNING = "max by (agent, instance_id) (agent_task_running)"
_WAITING = "max by (agent, instance_id) (agent_tasks_queued)"
_CALLS = f'rate(agent_manager_forward_requests_total{{agent!=""}}[{RATE}])'
_WELL = f'rate(agent_manager_forward_requests_total{{agent!="", code!~"5.."}}[{RATE}])'
_TOOK = f'rate(agent_manager_forward_duration_seconds_bucket{{agent!=""}}[{RATE}])'
_REFUSED = f"max by (agent, instance_id, code) (rate(agent_refusals_total[{RATE}]))"


def fleet() -> Dashboard:
    """Give it."""
    text = "Which agents are there, what they do, and how calls to them go."
    return dashboard_of("fleet", "Agents: fleet", text, [*_numbers(), *_work(), *_calls(), _agents()])


def _numbers() -> list[Panel]:
    down = f"count({_TO_RUN} unless on (agent) max by (agent) (agent_manager_instance_up) > 0) or vector(0)"
    unreachable = f"count({_UP} == 0) or vector(0)"
    return [
        number("Agents to run", "Those that an operator wants to run.", f"count({_TO_RUN})"),
        number("Down", "Of these, the ones without a reachable instance.", down, bad_from=1),
        number("Instances", "Known now.", f"sum({_INSTANCES})"),
        number("Unreachable", "Instances that the manager cannot talk to.", unreachable, bad_from=1),
        number("Tasks that run", "In all instances.", f"sum({_RUNNING})"),
        number("Tasks that wait", "In the instances' queues.", f"sum({_WAITING})"),
    ]


def _work() -> list[Panel]:
    states = (f"sum by (state) ({_INSTANCES})", "{{state}}")
    held = ("sum by (agent) (agent_manager_held_requests)", "{{agent}}")
    return [
        lines("Instances", "By what they say of themselves.", states, stacked=True),
        lines("Tasks that run", "By agent.", (f"sum by (agent) ({_RUNNING})", "{{agent}}"), stacked=True),
        lines("Tasks that wait", "In the instances' queues, by agent.", (f"sum by (agent) ({_WAITING})", "{{agent}}")),
        lines("Calls that are held", "They wait for an instance that is on its way back.", held),
    ]


def _calls() -> list[Panel]:
    failed = f"1 - sum by (agent) ({_WELL}) / sum by (agent) ({_CALLS})"
    slow = f"histogram_quantile(0.95, sum by (agent, le) ({_TOOK}))"
    return [
        lines(
            "Calls",
            "To agents that are known, as the manager answered them; 499 is a caller that left.",
            (f"sum by (code) ({_CALLS})", "{{code}}"),
            unit="reqps",
            stacked=True,
        ),
        lines("Calls that failed", "The share that was answered with 5xx.", (failed, "{{agent}}"), unit="percentunit"),
        lines("Slow calls", "95 of 100 took no longer, time held included.", (slow, "{{agent}}"), unit="s"),
        lines(
            "Refusals",
            "No work began on these: the manager tries elsewhere, or holds the call.",
            (f"sum by (agent, code) ({_REFUSED})", "{{agent}} {{code}}"),
            unit="reqps",
        ),
    ]


def _agents() -> Panel:
    return rows(
        "Agents",
        "As they are now.",
        [
            ("sum by (agent) (max by (agent, instance_id) (agent_manager_instance_up))", "reachable", "short"),
            (f"sum by (agent) ({_RUNNING})", "running", "short"),
            (f"sum by (agent) ({_WAITING})", "waiting", "short"),
            (f"sum by (agent) ({_CALLS})", "calls", "reqps"),
            ("max by (agent) (agent_manager_grace_cut_ratio)", "longer than the drain timeout", "percentunit"),
        ],
    )
