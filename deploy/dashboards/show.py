"""Shows what the panels of the dashboards show, as tables: `python -m deploy.dashboards.show http://127.0.0.1:9090`.

For a look at dashboards where no Grafana is: each panel with its unit, and each of its series with its legend and its
value as it is now.
"""

import json
import re
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

HERE: Final = Path(__file__).parent
VARIABLES: Final = {"$__rate_interval": "1m", "$__range": "15m", "$agent": ".+"}
_TIMEOUT_SECONDS: Final = 10.0
_LABEL: Final = re.compile(r"\{\{(\w+)\}\}")


class Asked(Struct, frozen=True):
    """One expression of a panel, its variables filled in."""

    dashboard: str
    panel: str
    unit: str
    legend: str
    expression: str


class Shown(Struct, frozen=True):
    """A series: what stands in the legend, and its value now."""

    name: str
    value: float


def asked(folder: Path = HERE) -> Iterator[Asked]:
    """Give every expression of every dashboard."""
    for path in sorted(folder.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            unit = panel["fieldConfig"]["defaults"].get("unit", "")
            for target in panel["targets"]:
                legend = target["legendFormat"]
                yield Asked(path.stem, panel["title"], unit, legend, filled_in(target["expr"]))


def filled_in(expression: str) -> str:
    """Give an expression as Grafana would ask it: all agents, and the time of a short look."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def shown(prometheus: str, one: Asked) -> list[Shown]:
    """Give the series that a Prometheus gives now; raises OSError, also for an expression that it refuses."""
    query = urllib.parse.urlencode({"query": one.expression})
    with urllib.request.urlopen(f"{prometheus}/api/v1/query?{query}", timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  # what the caller says
        result = json.load(answer)["data"]["result"]
    return [Shown(_legend(one.legend, series["metric"]), float(series["value"][1])) for series in result]


def tables(prometheus: str) -> Iterator[str]:
    """Give the lines of all tables."""
    place = ("", "")
    for one in asked():
        if place[0] != one.dashboard:
            yield f"\n# {one.dashboard}"
        if place != (one.dashboard, one.panel):
            yield f"\n{one.panel} ({one.unit})"
        place = (one.dashboard, one.panel)
        series = shown(prometheus, one)
        yield from (f"  {each.name or '-':<60} {each.value:.6g}" for each in series)
        if not series:
            yield f"  NO DATA: {one.expression}"


def _legend(form: str, labels: dict[str, Any]) -> str:
    if form:
        return _LABEL.sub(lambda found: str(labels.get(found[1], "")), form)
    return " ".join(f"{name}={value}" for name, value in labels.items() if name != "__name__")


def main() -> None:
    """Show them."""
    for line in tables(sys.argv[1].rstrip("/")):
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
