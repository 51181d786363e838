"""The dashboard of drains: what holds them, how long they take, what they cut."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.dashboards.panels import RANGE, RATE, THIS, Panel, agent_variable, dashboard_of, lines, number, rows

_EACH = "max by (agent, instance_id)"
_DEADLINE = f"{_EACH} (agent_drain_deadline_timestamp_seconds{{{THIS}}})"
_DRAINS = f"({_DEADLINE} > bool 0)"
"""1 for an instance that drains, else 0."""


def drain() -> Dashboard:
    """Give it."""
    text = "Which instances drain and what holds them, how long drains take, and what they cut."
    panels = [*_numbers(), *_under_way(), *_ended(), *_callers(), _grace()]
    return dashboard_of("drain", "Agents: drains", text, panels, agent_variable(several=True))


def _numbers() -> list[Panel]:
    stopping = f'sum(max by (agent) (agent_manager_instances{{{THIS}, state="stopping"}}))'
    holding = f"sum({_EACH} (agent_task_running{{{THIS}}}) * on (agent, instance_id) {_DRAINS})"
    numbers = [
        number("Drain now", "Instances that are stopping.", stopping),
        number("Tasks that hold them", "They run in these instances.", holding),
    ]
    for outcome, text, bad_from in (
        ("clean", "Nothing was lost.", None),
        ("cut", "The deadline came before the tasks were done.", 1),
        ("lost", "The process went without a last word.", 1),
    ):
        ended = f'sum(max by (agent) (increase(agent_manager_drains_total{{{THIS}, outcome="{outcome}"}}[{RANGE}])))'
        numbers.append(number(f"Drains: {outcome}", f"{text} In the time shown.", ended, bad_from=bad_from))
    cut = f"sum(max by (agent) (increase(agent_manager_drain_tasks_cut_total{{{THIS}}}[{RANGE}])))"
    return [*numbers, number("Tasks cut", "In the time shown.", cut, bad_from=1)]


def _under_way() -> list[Panel]:
    holding = f"{_EACH} (agent_task_running{{{THIS}}}) * on (agent, instance_id) {_DRAINS}"
    waiting = f"{_EACH} (agent_tasks_queued{{{THIS}}}) * on (agent, instance_id) {_DRAINS}"
    left = f"(({_DEADLINE} > 0) - time()) or 0 * {_DEADLINE}"
    return [
        lines(
            "What holds drains",
            "Tasks that run and wait in instances that drain.",
            (holding, "{{agent}} {{instance_id}} run"),
            (waiting, "{{agent}} {{instance_id}} wait"),
        ),
        lines(
            "Time left",
            "Until the deadline, at which tasks are cut; below 0 one is overdue, 0 is no drain.",
            (left, "{{agent}} {{instance_id}}"),
            unit="s",
        ),
    ]


def _ended() -> list[Panel]:
    took = f"max by (agent, le) (increase(agent_manager_drain_duration_seconds_bucket{{{THIS}}}[{RANGE}]))"
    ended = f"max by (agent, outcome) (increase(agent_manager_drains_total{{{THIS}}}[{RATE}]))"
    cut = f"max by (agent) (increase(agent_manager_drain_tasks_cut_total{{{THIS}}}[{RATE}]))"
    slow = [
        (f"histogram_quantile({share / 100:g}, sum by (le) ({took}))", f"{share} of 100 take no longer")
        for share in (50, 95)
    ]
    return [
        lines("How long drains take", "Of those that ended in the time shown.", *slow, unit="s"),
        lines("Drains that ended", "By what became of the work.", (f"sum by (outcome) ({ended})", "{{outcome}}")),
        lines("Tasks cut", "By agent.", (cut, "{{agent}}")),
    ]


def _callers() -> list[Panel]:
    held = f"sum by (agent) (agent_manager_held_requests{{{THIS}}})"
    refused = f'rate(agent_refusals_total{{{THIS}, code="stopping"}}[{RATE}])'
    retried = f'sum by (agent) (rate(agent_manager_forward_retries_total{{{THIS}, reason="stopping"}}[{RATE}]))'
    return [
        lines("Calls that are held", "Until an instance is back.", (held, "{{agent}}")),
        lines(
            "Refused while stopping",
            "No work began: the manager tried another instance.",
            (f"sum by (agent) (max by (agent, instance_id) ({refused}))", "{{agent}} refused"),
            (retried, "{{agent}} tried again"),
            unit="reqps",
        ),
    ]


def _grace() -> Panel:
    return rows(
        "Is the drain timeout long enough?",
        "By how long the tasks of the last seven days took.",
        [
            (f"max by (agent) (agent_manager_grace_tasks{{{THIS}}})", "tasks", "short"),
            (f"max by (agent) (agent_manager_grace_cut_ratio{{{THIS}}})", "would have been cut", "percentunit"),
            (f"max by (agent) (agent_manager_grace_needed_seconds{{{THIS}}})", "would have cut none", "s"),
        ],
        width=12,
    )
