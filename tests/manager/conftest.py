"""A manager that serves, and a Kubernetes API server, for the tests of either's outside."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from agent_manager.cluster.api import ClusterApi

from tests.manager.cluster_rig import ClusterRig, cluster_rig
from tests.manager.fake_api_server import FakeApiServer, connected, fake_api_server
from tests.manager.manager_rig import ManagerRig, running_manager


@pytest.fixture
async def rig() -> AsyncIterator[ManagerRig]:
    """Give a manager with the default settings that has been up for a day."""
    async with running_manager() as running:
        yield running


@pytest.fixture
async def api_server() -> AsyncIterator[FakeApiServer]:
    """Give a Kubernetes API server that holds nothing."""
    async with fake_api_server() as server:
        yield server


@pytest.fixture
async def cluster_api(api_server: FakeApiServer, tmp_path: Path) -> AsyncIterator[ClusterApi]:
    """Give the product's connection to it; its own namespace is `here`."""
    async with connected(api_server, tmp_path) as api:
        yield api


@pytest.fixture
async def cluster(api_server: FakeApiServer, tmp_path: Path) -> AsyncIterator[ClusterRig]:
    """Give a cluster in which the Deployment of agent `echo` asks for two pods, and no manager."""
    async with cluster_rig(api_server, tmp_path) as made:
        made.deploy(2)
        yield made


@pytest.fixture
async def leader(cluster: ClusterRig) -> AsyncIterator[ManagerRig]:
    """Give a manager in that cluster, which is alone and so acts."""
    async with cluster.manager() as rig:
        yield rig
