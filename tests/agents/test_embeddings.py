"""The embeddings: the numbers that the model's authors publish, and a search that no shared word could answer."""

import os
from pathlib import Path

import pytest

from agents.retriever import Retriever, RetrieveRequest
from tests.agents.fake_context import FakeContext

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        os.environ.get("TEST_PROFILE") != "full",
        reason="needs the embedding model: make install-full, then TEST_PROFILE=full",
    ),
]


def test_the_similarities_are_those_of_sentence_transformers() -> None:
    """The example of its documentation for all-MiniLM-L6-v2, to the last digit printed there."""
    from agents.embeddings import Encoder

    vectors = Encoder().encode(["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])

    published = [1.0, 0.666, 0.1046, 0.666, 1.0, 0.1411, 0.1046, 0.1411, 1.0]
    assert (vectors @ vectors.T).flatten().tolist() == pytest.approx(published, abs=5e-5)


def test_a_text_keeps_its_vector_in_any_company() -> None:
    """Neither the padding of its batch nor the order of the texts changes what a text means."""
    from agents.embeddings import Encoder

    encoder = Encoder()
    texts = ["short", "a rather longer sentence than the first one", *(f"filler {n} " * n for n in range(1, 40))]
    alone = [encoder.encode([text])[0] for text in texts[:2]]
    together = encoder.encode(texts)[:2]
    for one, other in zip(alone, together, strict=True):
        assert one.tolist() == pytest.approx(other.tolist(), abs=1e-5)


def test_passages_are_found_by_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither query shares a word with the passage that answers it."""
    monkeypatch.setenv("RETRIEVER_DOCUMENTS", str(Path(__file__).parent / "documents"))
    monkeypatch.setenv("RETRIEVER_BACKEND", "embeddings")
    retriever = Retriever()
    retriever.start()

    def first(query: str) -> str:
        return retriever.execute(RetrieveRequest(query, limit=1), FakeContext())["passages"][0]["source"]

    assert first("temporarily stop accepting jobs") == "lifecycle.md#pause-and-resume"
    assert first("randomised timing against thundering herds") == "heartbeats.md#jitter"
