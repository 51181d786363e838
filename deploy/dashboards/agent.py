"""The dashboard of one agent: its instances, its tasks, calls to it."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.dashboards.panels import RATE, THIS, Panel, agent_variable, dashboard_of, lines, number, rows

_EACH = "max by (agent, instance_id)"


def agent() -> Dashboard:
    """Give it."""
    text = "What its instances do, how long its tasks take, and how calls to it go."
    panels = [*_numbers(), *_tasks(), *_times(), *_calls(), _versions()]
    return dashboard_of("agent", "Agents: one agent", text, panels, agent_variable(several=False))


def _numbers() -> list[Panel]:
    return [
        number("Reachable", "Instances.", f"sum({_EACH} (agent_manager_instance_up{{{THIS}}}))"),
        number("Tasks that run", "In its instances.", f"sum({_EACH} (agent_task_running{{{THIS}}}))"),
        number("May run at once", "In its instances.", f"sum({_EACH} (agent_max_concurrency{{{THIS}}}))"),
        number("Tasks that wait", "In its instances.", f"sum({_EACH} (agent_tasks_queued{{{THIS}}}))"),
        number("Calls held", "By managers.", f"sum(agent_manager_held_requests{{{THIS}}})"),
        number(
            "Longer than the drain timeout",
            "The share of the last week's tasks.",
            f"max(agent_manager_grace_cut_ratio{{{THIS}}})",
            unit="percentunit",
            bad_from=0.01,
        ),
    ]


def _tasks() -> list[Panel]:
    states = f"sum by (state) (max by (agent, instance_id, state) (agent_state{{{THIS}}}))"
    ended = f"max by (agent, instance_id, outcome) (rate(agent_tasks_total{{{THIS}}}[{RATE}]))"
    return [
        lines("Instances", "By what they say of themselves.", (states, "{{state}}"), stacked=True),
        lines(
            "Tasks that ended",
            "By outcome.",
            (f"sum by (outcome) ({ended})", "{{outcome}}"),
            unit="ops",
            stacked=True,
        ),
        lines("Tasks that run", "By instance.", (f"{_EACH} (agent_task_running{{{THIS}}})", "{{instance_id}}")),
        lines("Tasks that wait", "By instance.", (f"{_EACH} (agent_tasks_queued{{{THIS}}})", "{{instance_id}}")),
    ]


def _times() -> list[Panel]:
    return [
        lines("How long tasks run", "Of 100 tasks.", *_quantiles("agent_task_duration_seconds"), unit="s"),
        lines("How long tasks wait", "Of 100 tasks.", *_quantiles("agent_task_queue_duration_seconds"), unit="s"),
    ]


def _quantiles(name: str) -> list[tuple[str, str]]:
    buckets = f"sum by (le) (max by (agent, instance_id, le) (rate({name}_bucket{{{THIS}}}[{RATE}])))"
    return [(f"histogram_quantile({share / 100:g}, {buckets})", f"{share} take no longer") for share in (50, 95, 99)]


def _calls() -> list[Panel]:
    took = f"sum by (le) (rate(agent_manager_forward_duration_seconds_bucket{{{THIS}}}[{RATE}]))"
    calls = f"sum by (code) (rate(agent_manager_forward_requests_total{{{THIS}}}[{RATE}]))"
    tried = f"sum by (reason) (rate(agent_manager_forward_retries_total{{{THIS}}}[{RATE}]))"
    refused = f"max by (agent, instance_id, code) (rate(agent_refusals_total{{{THIS}}}[{RATE}]))"
    restarts = f"{_EACH} (increase(agent_child_restarts_total{{{THIS}}}[{RATE}]))"
    return [
        lines("Calls", "As managers answered them, by status.", (calls, "{{code}}"), unit="reqps", stacked=True),
        lines(
            "Slow calls",
            "From the manager's door and back, time held included.",
            (f"histogram_quantile(0.95, {took})", "95 of 100 take no longer"),
            unit="s",
        ),
        lines("Tries after the first", "By why the one before began no work.", (tried, "{{reason}}"), unit="reqps"),
        lines("Refusals", "By instances, by code.", (f"sum by (code) ({refused})", "{{code}}"), unit="reqps"),
        lines(
            "Restarts of the agent's own process", "Of a command or an isolated agent.", (restarts, "{{instance_id}}")
        ),
    ]


def _versions() -> Panel:
    info = f"max by (agent, instance_id, version, adapter_version) (agent_info{{{THIS}}})"
    return rows(
        "Versions",
        "How many instances have which.",
        [(f"count by (version, adapter_version) ({info})", "instances", "short")],
        width=12,
    )
