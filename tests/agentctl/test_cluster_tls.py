"""`-n` where managers speak HTTPS, as their Service says."""

import ssl
from pathlib import Path

from tests.agentctl.command import agentctl
from tests.agentctl.fake_kubectl import Cluster, service
from tests.agentctl.fake_manager import FakeManager, agent, instance, listing
from tests.system.certificates import Authority

PORTS = [{"name": "http", "port": 8080, "appProtocol": "https"}]


def test_a_manager_with_https_is_reached_by_a_forward_and_must_be_localhost(
    tmp_path: Path, manager: FakeManager
) -> None:
    """That is the one name of a port-forward that a certificate can have; whom nobody trusts is told nothing."""
    authority = Authority(tmp_path, "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("manager", names=("agents-managers", "localhost")))
    manager._server.socket = context.wrap_socket(manager._server.socket, server_side=True)
    manager.on("GET", "/api/agent-services", listing(agent("planner", instance())))
    cluster = Cluster(tmp_path)
    cluster.tell(services=[service("agents-manager", ports=PORTS)], pod=manager.port)
    trusting = {**cluster.variables, "SSL_CERT_FILE": str(authority.path)}
    run = agentctl("-n", "prod", "get", "agents", "-o", "name", variables=trusting)
    assert (run.returncode, run.stdout, run.stderr) == (0, "agent/planner\n", "")
    asked = len(manager.asked)
    strange = agentctl("-n", "prod", "get", "agents", variables=cluster.variables)
    assert (strange.returncode, "certificate" in strange.stderr) == (5, True)
    assert len(manager.asked) == asked
