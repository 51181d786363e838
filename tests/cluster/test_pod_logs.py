"""The log of a pod in which nobody answers: an operator at night wants exactly that one."""

from collections.abc import Iterator

import pytest

from tests.agentctl.command import line
from tests.cluster.cluster import Namespace, in_thread, run
from tests.cluster.manifests import container, workload
from tests.system.manager_client import ManagerClient

pytestmark = [pytest.mark.full, pytest.mark.cluster, pytest.mark.timeout(300)]

LAST_WORDS = "cannot find the model, leaving"
CODE = f"print({LAST_WORDS!r}, flush=True); raise SystemExit(3)"


@pytest.fixture
def wordy(release: Namespace) -> Iterator[str]:
    """Give an agent whose process says why it ends, again and again."""
    release.apply(workload("wordy", {"containers": [container(["python", "-c", CODE])]}))
    yield "wordy"
    release.kubectl("delete", "deployment", "wordy", "--wait=false")


async def test_a_pod_that_crashes_says_why(wordy: str, client: ManagerClient) -> None:
    """By the agent's name, and by the id under which the pod is listed; the manager may read it, and may no more."""
    path = f"/api/agent-services/{wordy}/logs"

    async def heard() -> bool:
        answer = await client.http.get(path)
        return answer.status_code == 200 and LAST_WORDS in answer.text

    await client.until(heard, "its last words", 90)
    (instance,) = await client.instances(wordy)
    assert instance["source"] == "kubernetes"
    lines = (await client.http.get(path, params={"instanceId": instance["instanceId"], "lines": 1})).json()["lines"]
    assert lines == [{"instanceId": instance["instanceId"], "line": LAST_WORDS}]
    agentctl = line("--manager", f"http://127.0.0.1:{client.port}")
    assert LAST_WORDS in (await in_thread(run, *agentctl, "logs", wordy)).stdout
