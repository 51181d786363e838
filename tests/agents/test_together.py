"""The three agents as a user meets them: a goal in, and what the executor and the retriever made of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agents.executor import ExecuteRequest, Executor
from agents.planner import PlanRequest, plan
from agents.retriever import Retriever, RetrieveRequest
from tests.agents.fake_context import FakeContext

DOCUMENTS = Path(__file__).parent / "documents"


async def test_a_goal_is_planned_run_and_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planner calls the executor, the executor calls the retriever; the answer is JSON."""
    monkeypatch.setenv("RETRIEVER_DOCUMENTS", str(DOCUMENTS))
    monkeypatch.delenv("RETRIEVER_BACKEND", raising=False)
    retriever, executor = Retriever(), Executor()
    retriever.start()
    executor.start()

    async def retrieve(parameters: Mapping[str, Any]) -> dict[str, Any]:
        return dict(retriever.execute(RetrieveRequest(**parameters), context))

    async def execute(parameters: Mapping[str, Any]) -> dict[str, Any]:
        return dict(await executor.execute(ExecuteRequest(**parameters), context))

    context = FakeContext({"retriever": retrieve, "executor": execute})
    goal = "find what the docs say about the deadline of a drain and summarise it in 1 sentence, count the words"
    answer = await plan(PlanRequest(goal, execute=True), context)
    executor.close()

    found, summed, counted = json.loads(json.dumps(answer))["results"]
    assert found["passages"][0]["source"] == "drain.md#deadline"
    assert "deadline" in summed["summary"]
    assert counted == {"words": len(summed["summary"].split()), "lines": 1}
