"""Which cluster the manager finds itself in, and with whose credentials."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import certifi
import pytest
from agent_contract.loading import ConfigurationError
from agent_manager.cluster import api as edge
from agent_manager.cluster.api import connect
from kubernetes.aio.config import incluster_config

from tests.manager.fake_api_server import FakeApiServer

PODS = "/api/v1/namespaces/here/pods"


def test_the_client_is_loaded_only_to_connect() -> None:
    """It weighs 50 MB and takes a second, which a manager outside a cluster does not pay."""
    code = "import sys, agent_manager.cluster.api, agent_manager.composition; print('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


async def test_the_namespace_is_the_contexts(api_server: FakeApiServer, tmp_path: Path) -> None:
    """Unless it was told another one; a context without one means `default`, as for kubectl."""
    for said, told, own in (("there", None, "there"), ("there", "here", "here"), ("", None, "default")):
        api = await connect(namespace=told, kubeconfig=api_server.kubeconfig(tmp_path, said))
        assert api.namespace == own


@pytest.mark.parametrize("text", [None, "", "a: [", "{}", '{"current-context": "x", "contexts": []}'])
async def test_without_a_cluster_it_says_where_it_looked(tmp_path: Path, text: str | None) -> None:
    """A kubeconfig that is missing or makes no sense is a wrong configuration, not a crash."""
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"runtime\.discovery: cannot find a cluster: .* no kubeconfig"):
        await connect(kubeconfig=str(path))


async def test_the_token_of_a_plugin_is_fetched_again(
    api_server: FakeApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives for minutes, and the manager for months."""
    plugin = tmp_path / "plugin"
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "$N"}}
    count = tmp_path / "count"
    plugin.write_text(f"#!/bin/sh\necho x >> {count}\nN=$(wc -l < {count})\ncat <<E\n{json.dumps(answer)}\nE\n")
    plugin.chmod(stat.S_IRWXU)
    command = {"apiVersion": answer["apiVersion"], "command": str(plugin)}
    api = await connect(kubeconfig=api_server.kubeconfig(tmp_path, exec=command))
    await api.request("GET", PODS)
    monkeypatch.setattr(edge, "_REFRESH_SECONDS", 0.0)
    await api.request("GET", PODS)
    await api.close()
    assert [request.headers["authorization"] for request in api_server.requests] == ["Bearer 1", "Bearer 2"]


@pytest.fixture
def service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder that the kubelet mounts into a pod, of namespace `agents`."""
    for name, text in (("token", "first"), ("namespace", "agents\n"), ("ca.crt", Path(certifi.where()).read_text())):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(edge, "_SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return tmp_path


async def test_inside_a_cluster_it_is_its_service_account(service_account: Path) -> None:
    """The address comes from the environment, the namespace from the mount unless it was told; no kubeconfig counts."""
    assert (service_account / "token").exists()
    api = await connect()
    assert (api.namespace, api._client.configuration.host) == ("agents", "https://[fd00::1]:443")
    assert (await connect(namespace="told")).namespace == "told"


async def test_the_service_accounts_token_is_read_again(service_account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kubelet renews it within the hour, and an old one is refused."""
    api = await connect()
    settings = api._client.configuration
    (service_account / "token").write_text("second")
    assert (await settings.auth_settings())["BearerToken"]["value"] == "bearer first"
    monkeypatch.setattr(edge, "_REFRESH_SECONDS", 0.0)
    assert (await settings.auth_settings())["BearerToken"]["value"] == "bearer second"
