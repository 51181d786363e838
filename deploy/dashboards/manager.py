"""The dashboard of the manager itself: its calls, its view of the fleet, who may not do what, its watches."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.dashboards.panels import RATE, Panel, dashboard_of, lines, number, rows

_ITS_SCRAPES = "on (job, instance) group_left () max by (job, instance) (agent_manager_info)"


def manager() -> Dashboard:
    """Give it."""
    text = "Calls, registrations and losses, orders, refused credentials, scrapes, and in a cluster the watches."
    panels = [*_numbers(), *_calls(), *_fleet(), *_orders(), *_metrics(), *_watches()]
    return dashboard_of("manager", "Agents: manager", text, panels)


def _numbers() -> list[Panel]:
    took = f"sum by (le) (rate(agent_manager_forward_duration_seconds_bucket[{RATE}]))"
    return [
        number("Managers", "Scraped now.", "count(agent_manager_info)"),
        number("Leaders", "Those that carry out actions of several steps.", "sum(agent_manager_leader)", bad_from=2),
        number(
            "Mass loss guard",
            "1 while many instances are silent at once and are kept.",
            "max(agent_manager_mass_loss_guard)",
            bad_from=1,
        ),
        number("Calls", "Answered a second.", f"sum(rate(agent_manager_forward_requests_total[{RATE}]))", unit="reqps"),
        number("Slow calls", "95 of 100 take no longer.", f"histogram_quantile(0.95, {took})", unit="s"),
        number("Calls held", "They wait for an instance.", "sum(agent_manager_held_requests)"),
    ]


def _calls() -> list[Panel]:
    calls = f"sum by (code) (rate(agent_manager_forward_requests_total[{RATE}]))"
    took = f"sum by (le) (rate(agent_manager_forward_duration_seconds_bucket[{RATE}]))"
    tried = f"sum by (reason) (rate(agent_manager_forward_retries_total[{RATE}]))"
    unknown = f'sum by (code) (rate(agent_manager_forward_requests_total{{agent=""}}[{RATE}]))'
    slow = [(f"histogram_quantile({share / 100:g}, {took})", f"{share} of 100") for share in (50, 95, 99)]
    return [
        lines("Calls", "By status; 499 is a caller that left.", (calls, "{{code}}"), unit="reqps", stacked=True),
        lines("How long calls take", "No longer, time held included.", *slow, unit="s"),
        lines("Tries after the first", "By why the one before began no work.", (tried, "{{reason}}"), unit="reqps"),
        lines("Calls to unknown agents", "A name that is wrong, or gone.", (unknown, "{{code}}"), unit="reqps"),
    ]


def _fleet() -> list[Panel]:
    came = f"sum by (instance) (increase(agent_manager_registrations_total[{RATE}]))"
    went = f"sum by (reason) (increase(agent_manager_instances_purged_total[{RATE}]))"
    return [
        lines("Registrations", "By manager; many are a restart of the manager's.", (came, "{{instance}}")),
        lines("Instances dropped", "Without a last word, by why.", (went, "{{reason}}")),
    ]


def _orders() -> list[Panel]:
    acted = f"sum by (action, outcome) (increase(agent_manager_actions_total[{RATE}]))"
    refused = f"sum by (reason) (increase(agent_manager_auth_failures_total[{RATE}]))"
    return [
        lines("Actions", "That ended.", (acted, "{{action}} {{outcome}}")),
        lines("Refused credentials", "By why.", (refused, "{{reason}}")),
    ]


def _metrics() -> list[Panel]:
    left_out = f"sum by (reason) (increase(agent_manager_metrics_refused_total[{RATE}]))"
    return [
        lines(
            "Scrapes",
            "How long Prometheus waits for a manager's page.",
            (f"scrape_duration_seconds * {_ITS_SCRAPES}", "{{job}} {{instance}}"),
            unit="s",
        ),
        lines(
            "Samples",
            "Series on a manager's page.",
            (f"scrape_samples_scraped * {_ITS_SCRAPES}", "{{job}} {{instance}}"),
        ),
        lines("Metrics that are not carried", "What instances' pages had, by why.", (left_out, "{{reason}}")),
    ]


def _watches() -> list[Panel]:
    again = f"sum by (namespace, reason) (increase(agent_manager_watch_restarts_total[{RATE}]))"
    age = "time() - max by (namespace) (agent_manager_watch_last_event_timestamp_seconds)"
    up = "min by (namespace) (agent_manager_watch_up)"
    return [
        lines("Watches begun again", "In a cluster, by namespace and why.", (again, "{{namespace}} {{reason}}")),
        lines("Silence of the API server", "In a cluster, by namespace.", (age, "{{namespace}}"), unit="s"),
        rows("Watches", "In a cluster: 1 while a namespace is seen as it is.", [(up, "up", "short")], width=12),
    ]
