"""The docs name every route, setting, variable, metric and problem that the code has."""

import re
from pathlib import Path

import pytest
from agent_adapter.app import ROUTES as ADAPTER_ROUTES
from agent_adapter.config import _SCALARS
from agent_contract.adapter_families import ADAPTER_FAMILIES
from agent_contract.config import Agent, Runtime
from agent_contract.environment import SECRETS
from agent_contract.problems import STATUS_OF
from agent_contract.schema import schema_text
from agent_contract.variables import RUNTIME_VARIABLES
from agent_manager.app import TABLE as MANAGER_ROUTES
from agent_manager.handlers.routes import Route
from agent_manager.metrics import Metrics
from agent_manager.metrics.carried import REFUSALS
from agent_manager.metrics.of_agents import FAMILIES as OF_AGENTS
from msgspec.structs import fields

from tests.manager.stage import Stage

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def page(name: str) -> str:
    """Give the text of a page of the docs."""
    return (DOCS / name).read_text()


def routes(handlers: list[object]) -> set[str]:
    """Give `METHOD /path` of each handler."""
    found = set()
    for handler in handlers:
        for method in getattr(handler, "http_methods", ["POST"]):
            for path in handler.paths:  # type: ignore[attr-defined]  # every litestar handler has paths
                found.add(f"{getattr(method, 'value', method)} {re.sub(r':[a-z]+', '', path)}")
    return found


@pytest.mark.parametrize("route", sorted(routes(ADAPTER_ROUTES)))
def test_every_route_of_the_adapter_is_documented(route: str) -> None:
    """A reader finds each route in the adapter's table."""
    assert f"`{route}`" in page("adapter.md")


@pytest.mark.parametrize("route", MANAGER_ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_of_the_manager_is_documented_with_who_may_use_it(route: Route) -> None:
    """A reader finds each route in the manager's table."""
    path = re.sub(r"\{agent_id", "{id", re.sub(r":[a-z]+", "", route.path))
    row = re.search(rf"^\| `{route.method} {re.escape(path)}` \| (\w+) \|", page("manager.md"), re.MULTILINE)
    assert row is not None, path
    assert row[1] == route.who.value.partition(",")[0]


@pytest.mark.parametrize("section", [Runtime, Agent])
def test_every_key_of_the_configuration_is_documented(section: type) -> None:
    """A reader finds each key in the tables."""
    missing = [
        field.encode_name for field in fields(section) if f"`{field.encode_name}`" not in page("configuration.md")
    ]
    assert missing == []


def test_every_variable_is_documented() -> None:
    """A reader finds each environment variable in the table."""
    tls = {"MANAGER_TLS_KEY", "AGENT_TLS_KEY"}
    known = {*_SCALARS.values(), *RUNTIME_VARIABLES.values(), *SECRETS} - tls
    assert [name for name in sorted(known) if f"`{name}`" not in page("configuration.md")] == []


def test_the_table_of_problems_has_every_code_with_its_status() -> None:
    """A reader finds each code, and the table has none that the code lacks."""
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| ([0-9, ]+) \|", page("errors.md"), re.MULTILINE))
    assert set(rows) == set(STATUS_OF)
    assert [code for code, status in STATUS_OF.items() if str(status) not in rows[code]] == []


def documented_metrics() -> dict[str, str]:
    """Give the kind of each metric in the tables, by its name."""
    rows = re.findall(r"^\| `(agent_\w+)(?:\{[\w,]+\})?` \| (\w+) \|", page("metrics.md"), re.MULTILINE)
    return dict(rows)


def exposed_metrics() -> dict[str, str]:
    """Give the kind of each metric that the code has."""
    stage = Stage()
    registry = Metrics(stage.registry, clock=stage.clock, wall=stage.wall).registry
    kinds: dict[str, str] = {name: facts.kind for name, facts in ADAPTER_FAMILIES.items()}
    kinds |= {f"agent_manager_{name}": kind for name, (kind, _) in OF_AGENTS.items()}
    kinds |= {family.name: family.type for family in registry.collect()}
    return {name + ("_total" if kind == "counter" else ""): kind for name, kind in kinds.items()}


def test_every_metric_is_documented() -> None:
    """A reader finds each family with its kind, and none that there is not."""
    assert documented_metrics() == exposed_metrics()


@pytest.mark.parametrize("reason", REFUSALS)
def test_every_reason_for_not_carrying_a_metric_is_documented(reason: str) -> None:
    """Who sees the counter rise reads what to look for."""
    assert f"| `{reason}` |" in page("metrics.md")


def test_the_schema_file_equals_the_structs() -> None:
    """Editors complete what the processes accept: `make schema` writes the file."""
    assert (ROOT / "config" / "agents.config.schema.json").read_text() == schema_text()


def test_every_link_leads_somewhere() -> None:
    """Every link of the README and the docs leads to a file that is there."""
    broken = []
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
        broken += [f"{path.name}: {target}" for target in targets if not (path.parent / target).exists()]
    assert broken == []
