"""Who may import whom: floors import only downwards, and each outside library lives in its own module."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVICES = Path(__file__).parent.parent / "services"
PACKAGES = {
    "agent_contract": SERVICES / "contract" / "agent_contract",
    "agent_adapter": SERVICES / "adapter" / "agent_adapter",
    "agent_manager": SERVICES / "manager" / "agent_manager",
    "agentctl": SERVICES / "manager" / "agentctl",
}
MAY_IMPORT = {
    "agent_contract": set(),
    "agent_adapter": {"agent_contract"},
    "agent_manager": {"agent_contract"},
    "agentctl": {"agent_contract"},
}
HOME = {
    "aiohttp": {"agent_manager.cluster.api"},
    "kubernetes": {"agent_manager.cluster.api"},
    "httpx": {"agent_adapter.http_client", "agentctl.client"},
    "litestar": {"agent_adapter.handlers", "agent_adapter.app", "agent_manager.handlers", "agent_manager.app"},
    "opentelemetry": {"agent_contract.tracing"},
    "prometheus_client": {"agent_adapter.metrics", "agent_manager.metrics", "agentctl.own_metrics"},
    "uvicorn": {
        "agent_contract.serving",
        "agent_contract.http_connection",
        "agent_contract.http_exchange",
        "agent_contract.http_shared",
    },
}
"""The modules (and what lies below them) that may import an outside library."""
FLOORS = {
    "agent_adapter": [
        {"errors", "tasks", "history", "drain", "identity", "config", "printing", "http_client", "wall_clock"}
        | {"credentials"},
        {"lifecycle", "ended", "admission", "agents", "metrics", "views"},
        {"execution", "manager_link", "heartbeat", "outgoing_calls", "adapter"},
        {"handlers"},
        {"app", "supervisor"},
        {"composition"},
        {"process", "__main__"},
    ],
    "agent_manager": [
        {"config", "credentials", "agent_tokens", "oidc", "agent_client", "background", "changes", "networks"},
        {"records", "words", "liveness", "flapping", "fleet", "departures", "desired_states", "journal", "queries"}
        | {
            "cluster",
            "discovery",
            "platform",
            "roster",
            "sources",
            "registry",
            "listing",
            "service_urls",
            "handed_over",
        }
        | {"pod_index", "attachments", "platform_view", "losses", "views", "leadership"},
        {
            "registrations",
            "probes",
            "sweeper",
            "holding",
            "dispatch",
            "actions",
            "metrics",
            "access",
            "sessions",
            "attempts",
            "audit",
            "token_reviews",
        }
        | {"login_attempts", "samples", "scrapes", "configured", "console", "holder"},
        {"handlers"},
        {"app"},
        {"__main__"},
    ],
}
"""From the lowest floor up; a module imports from its own floor and those below. One not named is on the top."""


def modules(package: str) -> Iterator[tuple[str, Path]]:
    """Give the dotted name and the file of each module of a package."""
    root = PACKAGES[package]
    for path in sorted(root.rglob("*.py")):
        parts = [package, *path.relative_to(root).with_suffix("").parts]
        yield ".".join(parts).removesuffix(".__init__"), path


def imports(path: Path) -> Iterator[str]:
    """Give every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_below_it(package: str) -> None:
    """Adapter and manager never import one another, and the contract imports neither."""
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{name} imports {imported}"
        for name, path in modules(package)
        for imported in imports(path)
        if imported.partition(".")[0] in PACKAGES and imported.partition(".")[0] not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("library", HOME)
def test_an_outside_library_is_imported_only_in_its_home(library: str) -> None:
    """What talks to an outside system is one module."""
    wrong = [
        f"{name} imports {imported}"
        for package in PACKAGES
        for name, path in modules(package)
        for imported in imports(path)
        if imported.partition(".")[0] == library
        and not any(name == home or name.startswith(f"{home}.") for home in HOME[library])
    ]
    assert wrong == []


@pytest.mark.parametrize("package", FLOORS)
def test_a_floor_imports_only_downwards(package: str) -> None:
    """Decisions know nothing of HTTP, and the composition root is known to nobody."""
    floor_of = {module: number for number, floor in enumerate(FLOORS[package]) for module in floor}
    top = len(FLOORS[package])
    wrong = []
    for name, path in modules(package):
        own = [*name.split("."), ""][1]
        for imported in imports(path):
            parts = imported.split(".")
            other = parts[1] if len(parts) > 1 else ""
            if parts[0] == package and other in floor_of and floor_of[other] > floor_of.get(own, top):
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_no_module_has_over_300_lines() -> None:
    """A module that is longer has two subjects."""
    root = SERVICES.parent
    long = {
        str(path.relative_to(root)): lines
        for folder in ("services", "agents", "tests", "benchmarks")
        for path in (root / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert long == {}
