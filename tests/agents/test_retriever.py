"""The retriever: which passages come first, and what is refused."""

from pathlib import Path

import msgspec
import pytest

from agents.bm25 import Bm25
from agents.retriever import Retriever, RetrieveRequest
from tests.agents.fake_context import FakeContext, Rejected

DOCUMENTS = Path(__file__).parent / "documents"


@pytest.fixture
def retriever(monkeypatch: pytest.MonkeyPatch) -> Retriever:
    """Give a started retriever over the documents beside this file."""
    monkeypatch.setenv("RETRIEVER_DOCUMENTS", str(DOCUMENTS))
    monkeypatch.delenv("RETRIEVER_BACKEND", raising=False)
    retriever = Retriever()
    retriever.start()
    return retriever


@pytest.mark.parametrize(
    ("query", "source"),
    [
        ("deadline of a drain", "drain.md#deadline"),
        ("which task holds the drain", "drain.md#blockers"),
        ("pausing", "lifecycle.md#pause-and-resume"),
        ("restarts replace the process", "lifecycle.md#restart"),
        ("exit code of bad configuration", "lifecycle.md#exit-codes"),
        ("how often is a heartbeat sent to the manager?", "heartbeats.md#heartbeats"),
        ("extend", "drain.md#deadline"),
    ],
)
def test_the_passage_that_answers_comes_first(retriever: Retriever, query: str, source: str) -> None:
    """Words count in any form, those of the heading too."""
    passages = retriever.execute(RetrieveRequest(query), FakeContext())["passages"]
    assert passages[0]["source"] == source
    assert [passage["score"] for passage in passages] == sorted((p["score"] for p in passages), reverse=True)
    assert all(passage["text"] in (DOCUMENTS / passage["source"].split("#")[0]).read_text() for passage in passages)


def test_no_more_passages_than_asked_for_and_none_without_a_word_of_the_query(retriever: Retriever) -> None:
    """`limit` is a bound, not a promise."""
    assert len(retriever.execute(RetrieveRequest("drain", limit=2), FakeContext())["passages"]) == 2
    assert retriever.execute(RetrieveRequest("zebra"), FakeContext()) == {"passages": []}
    assert retriever.execute(RetrieveRequest("?!"), FakeContext()) == {"passages": []}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (RetrieveRequest(" "), "parameters.query"),
        (RetrieveRequest("x" * 2001), "parameters.query"),
        (RetrieveRequest("drain", limit=0), "parameters.limit"),
        (RetrieveRequest("drain", limit=51), "parameters.limit"),
    ],
)
def test_a_bad_parameter_is_rejected_with_its_path(retriever: Retriever, request_: RetrieveRequest, field: str) -> None:
    """The caller learns which parameter is wrong."""
    with pytest.raises(Rejected, match="cannot retrieve") as rejected:
        retriever.execute(request_, FakeContext())
    assert rejected.value.field == field


def test_a_start_without_documents_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retriever that could only ever find nothing does not come up."""
    monkeypatch.setenv("RETRIEVER_DOCUMENTS", str(tmp_path))
    with pytest.raises(ValueError, match=f"cannot retrieve: no .md or .txt document in {tmp_path}"):
        Retriever().start()


def test_a_page_that_is_no_text_is_left_out_and_the_log_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One broken page does not keep the others from being found."""
    (tmp_path / "broken.md").write_bytes(b"\xff\xfe")
    (tmp_path / "whole.md").write_text("A whole page.\n")
    monkeypatch.setenv("RETRIEVER_DOCUMENTS", str(tmp_path))
    retriever = Retriever()
    retriever.start()
    assert [p["source"] for p in retriever.execute(RetrieveRequest("page"), FakeContext())["passages"]] == ["whole.md"]
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == ["a document is left out"]


def test_an_unknown_backend_is_refused(monkeypatch: pytest.MonkeyPatch, retriever: Retriever) -> None:
    """The message names both that there are."""
    monkeypatch.setenv("RETRIEVER_BACKEND", "grep")
    with pytest.raises(ValueError, match="cannot retrieve by 'grep': RETRIEVER_BACKEND is bm25 or embeddings"):
        retriever.start()


def test_a_rare_word_counts_more_and_a_long_text_less() -> None:
    """The two ideas of BM25: rarity of the word, and the length of the text that it stands in."""
    index = Bm25(["common " + "filler " * 50, "common", "common common common", "common common rare"])
    assert index.search("common rare", 1)[0][0] == 3
    assert [number for number, _ in index.search("common", 4)] == [2, 3, 1, 0]


def test_the_score_is_that_of_the_formula() -> None:
    """One worked example by hand: N=2, df=1, tf=1, both texts of mean length."""
    (number, score), *others = Bm25(["alpha beta", "gamma delta"]).search("alpha", 5)
    assert (number, others) == (0, [])
    assert score == pytest.approx(0.6931472, abs=1e-6)  # ln(1 + 1.5/1.5) * 1 * 2.5 / (1 + 1.5)


def test_its_parameters_describe_themselves() -> None:
    """An adapter can derive their schema and convert them; a parameter that is not known is ignored."""
    schema = msgspec.json.schema(RetrieveRequest)["$defs"]["RetrieveRequest"]
    assert schema["required"] == ["query"]
    assert schema["properties"]["limit"] == {"type": "integer", "default": 5}
    assert msgspec.convert({"query": "a", "colour": "red"}, RetrieveRequest) == RetrieveRequest("a", 5)
