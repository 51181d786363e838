"""What the manager counted itself, as its metrics page says it."""

from collections.abc import Iterator

from msgspec import Struct

from agentctl.client import Manager

_PREFIX = "agent_manager_"


class Sample(Struct, frozen=True):
    """One series' value; the name is without the prefix that all of them have."""

    name: str
    labels: dict[str, str]
    value: float


def own_metrics(manager: Manager) -> Iterator[Sample]:
    """Give the manager's own series, without those of the agents' pages; raises CommandFailed."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415  # 0.15 s that few commands need

    page = manager.send("GET", "/metrics", params={"scope": "self"}, headers={"Accept": "text/plain"})
    for family in text_string_to_metric_families(page.content.decode(errors="replace")):
        for sample in family.samples:
            if sample.name.startswith(_PREFIX):
                yield Sample(sample.name.removeprefix(_PREFIX), sample.labels, sample.value)
