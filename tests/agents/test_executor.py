"""The executor: what each kind of step gives, and what it refuses."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.executor import ExecuteRequest, Executor
from tests.agents.fake_context import FakeContext, Rejected

DOCUMENTS = Path(__file__).parent / "documents"
PASSAGES = [{"text": "A drain ends.", "source": "docs/drain.md", "score": 2.5}]


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[Executor]:
    """Give a started executor in a project of two pages."""
    (tmp_path / "README.md").write_text("# Project\n\nIt runs agents.\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "drain.md").write_text((DOCUMENTS / "drain.md").read_text())
    executor = Executor(tmp_path)
    executor.start()
    yield executor
    executor.close()


async def retriever(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Answer for the retriever: the passages, and the parameters that it was given."""
    return {"passages": PASSAGES[: parameters["limit"]], "asked": parameters}


async def run(executor: Executor, *steps: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what the steps gave."""
    done = await executor.execute(ExecuteRequest(list(steps)), FakeContext({"retriever": retriever}))
    return done["results"]


@pytest.mark.parametrize(
    ("steps", "results"),
    [
        ([{"wait": 0}], [{"waited": 0}]),
        ([{"retrieve": "drain"}], [{"passages": PASSAGES}]),
        ([{"count": "one two\nthree"}], [{"words": 3, "lines": 2}]),
        ([{"calculate": "2*(3+4)"}, {"count": {"from": 0}}], [{"value": 14}, {"words": 1, "lines": 1}]),
        ([{"retrieve": "drain"}, {"count": {"from": 0}}], [{"passages": PASSAGES}, {"words": 3, "lines": 1}]),
        ([{"count": "a b"}, {"count": {"from": 0}}], [{"words": 2, "lines": 1}, {"words": 5, "lines": 1}]),
        ([{"wait": 0, "colour": "red"}], [{"waited": 0}]),
        ([{"summarise": "Only one sentence is here."}], [{"summary": "Only one sentence is here."}]),
    ],
)
async def test_each_step_gives_its_result_in_order(
    executor: Executor, steps: list[dict[str, Any]], results: list[dict[str, Any]]
) -> None:
    """A step may use the text of an earlier one; a member that its kind does not know is ignored."""
    assert await run(executor, *steps) == results


async def test_a_page_is_read_and_summed_up_in_its_own_sentences(executor: Executor) -> None:
    """The summary is made of sentences of the page, without its code."""
    read, summed = await run(executor, {"read": "docs/drain.md"}, {"summarise": {"from": 0}, "sentences": 2})

    assert read["path"] == "docs/drain.md"
    assert read["text"].startswith("# Draining an agent")
    assert "agentctl" not in summed["summary"]
    sentences = summed["summary"].removesuffix(".").split(". ")
    assert len(sentences) == 2
    assert all(sentence in " ".join(read["text"].split()) for sentence in sentences)


async def test_progress_is_said_after_each_step(executor: Executor) -> None:
    """Who watches sees how many steps are done and which one runs now."""
    context = FakeContext()
    await executor.execute(ExecuteRequest([{"wait": 0}, {"calculate": "1+1"}]), context)
    assert context.progress == [
        (0.0, "0 of 2 done, now wait 0 s"),
        (0.5, "1 of 2 done, now calculate"),
        (1, "2 of 2 done"),
    ]


async def test_a_cancelled_wait_ends_at_once(executor: Executor) -> None:
    """A drain or a caller can cut a wait of ten minutes."""
    context = FakeContext()
    task = asyncio.create_task(executor.execute(ExecuteRequest([{"wait": 600}]), context))
    await context.progressed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, timeout=5)


@pytest.mark.parametrize(
    ("steps", "field", "detail"),
    [
        ([], "parameters.steps", "cannot execute 0 steps"),
        ([{"wait": 0}] * 33, "parameters.steps", "cannot execute 33 steps"),
        ([{"wait": 0}, {}], "parameters.steps[1]", "cannot execute None"),
        ([{"shell": "rm -rf /"}], "parameters.steps[0].shell", "cannot execute 'shell'"),
        ([{"wait": 1, "count": "a"}], "parameters.steps[0].count", "wait and count in one step"),
        ([{"wait": -1}], "parameters.steps[0].wait", "cannot wait -1"),
        ([{"wait": 601}], "parameters.steps[0].wait", "cannot wait 601"),
        ([{"wait": "2"}], "parameters.steps[0].wait", "cannot wait '2'"),
        ([{"wait": True}], "parameters.steps[0].wait", "cannot wait True"),
        ([{"wait": float("nan")}], "parameters.steps[0].wait", "cannot wait nan"),
        ([{"retrieve": " "}], "parameters.steps[0].retrieve", "cannot retrieve"),
        ([{"retrieve": "a", "limit": 0}], "parameters.steps[0].limit", "cannot use limit 0"),
        ([{"retrieve": "a", "limit": 1.5}], "parameters.steps[0].limit", "cannot use limit 1.5"),
        ([{"summarise": 7}], "parameters.steps[0].summarise", "cannot summarise"),
        ([{"summarise": "a", "sentences": 21}], "parameters.steps[0].sentences", "cannot use sentences 21"),
        ([{"count": {"from": 0}}], "parameters.steps[0].count.from", "no earlier step"),
        ([{"count": {}}], "parameters.steps[0].count.from", "no earlier step"),
        ([{"wait": 0}, {"count": {"from": 0}}], "parameters.steps[1].count.from", "no earlier step"),
        ([{"count": "a"}, {"summarise": {"from": -1}}], "parameters.steps[1].summarise.from", "no earlier step"),
        ([{"calculate": "__import__('os')"}], "parameters.steps[0].calculate", "cannot calculate"),
        ([{"wait": 0}, {"read": "docs/none.md"}], "parameters.steps[1].read", "no such document"),
    ],
)
async def test_a_mistake_is_rejected_with_its_path(
    executor: Executor, steps: list[dict[str, Any]], field: str, detail: str
) -> None:
    """The caller learns which member of which step is wrong."""
    with pytest.raises(Rejected, match=detail) as rejected:
        await run(executor, *steps)
    assert rejected.value.field == field


async def test_no_step_runs_when_a_later_one_is_wrong(executor: Executor) -> None:
    """All steps are checked before the first one runs: nothing is half done."""
    context = FakeContext()
    with pytest.raises(Rejected):
        await executor.execute(ExecuteRequest([{"wait": 600}, {"calculate": "1/0"}]), context)
    assert context.progress == []


def test_its_parameters_describe_themselves() -> None:
    """An adapter can derive their schema and convert them, and no member of a step is lost on the way."""
    assert msgspec.json.schema(ExecuteRequest)["$defs"]["ExecuteRequest"]["required"] == ["steps"]
    given = {"steps": [{"shell": "ls"}], "colour": "red"}
    assert msgspec.convert(given, ExecuteRequest) == ExecuteRequest([{"shell": "ls"}])
