"""The cluster, the images on its nodes, and a release of the chart's examples."""

import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.cluster.cluster import Namespace, load_images, run
from tests.system.manager_client import ManagerClient

NO_CLUSTER = "NO KUBERNETES ANSWERS, so that none of the stories about clusters is told"


@pytest.fixture(scope="session")
def cluster() -> None:
    """Have a Kubernetes with kubectl and helm. Where there is none the stories are skipped; in CI that is a failure."""
    if os.environ.get("TEST_PROFILE") != "full":
        pytest.skip("needs a Kubernetes given by KUBECONFIG: TEST_PROFILE=full")
    error = _no_cluster()
    if error and os.environ.get("CI"):
        pytest.fail(f"{NO_CLUSTER}: {error}")
    if error:
        pytest.skip(f"{NO_CLUSTER}: {error}")


def _no_cluster() -> str | None:
    """Give why no cluster answers, or None."""
    for command in (["kubectl", "get", "--raw", "/readyz", "--request-timeout", "10s"], ["helm", "version", "--short"]):
        try:
            ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if ran.returncode != 0:
            return ran.stderr.strip() or f"{command} failed"
    return None


@pytest.fixture(scope="session")
def images(cluster: None) -> None:
    """Build the images of this very tree, and copy them to the nodes."""
    del cluster
    run("make", "images")
    load_images()


@pytest.fixture(scope="module")
def namespace(images: None) -> Iterator[Namespace]:
    """Give an empty namespace."""
    del images
    with Namespace(f"agents-{uuid.uuid4().hex[:8]}") as made:
        yield made


@pytest.fixture(scope="session")
def release(images: None) -> Iterator[Namespace]:
    """Give a namespace with the examples as `helm install --wait` leaves them."""
    del images
    with Namespace(f"agents-{uuid.uuid4().hex[:8]}") as made:
        made.install()
        yield made


@pytest.fixture
async def client(release: Namespace) -> AsyncIterator[ManagerClient]:
    """Give a client of a release that is whole: one planner, one retriever, two executors, all running."""
    async with release.manager() as calling:
        for agent, count in (("planner", 1), ("retriever", 1), ("executor", 2)):
            await calling.until_running(agent, count)
        yield calling
