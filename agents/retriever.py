"""Finds passages in a folder of documents: by words (BM25), or by meaning where the embeddings are installed."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypedDict

from agents.bm25 import Bm25
from agents.context import Context
from agents.documents import DocumentError, Passage, list_documents, read_text, split_passages

MAX_QUERY = 2_000  # characters; a question is shorter, and a page is not a question
MAX_LIMIT = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetrieveRequest:
    """What to look for, and how many passages to give."""

    query: str
    limit: int = 5


class Found(TypedDict):
    """A passage, and how well it fits: higher is better, comparable within one answer only."""

    text: str
    source: str
    score: float


class RetrieveResult(TypedDict):
    """The passages that fit, the best first."""

    passages: list[Found]


class Index(Protocol):
    """A way to rank texts: what BM25 and the embeddings have in common."""

    def search(self, query: str, limit: int) -> list[tuple[int, float]]:
        """Give number and score of the best `limit` texts, the best first."""


class Retriever:
    """Reads its documents once, in `start`; `RETRIEVER_DOCUMENTS` names another folder than the project's docs."""

    def __init__(self) -> None:
        self._passages: list[Passage] = []
        self._index: Index = Bm25([])

    def start(self) -> None:
        """Load and index the documents. Raises ValueError where there are none, or no such backend."""
        folder = os.environ.get("RETRIEVER_DOCUMENTS")
        self._passages = load_passages(Path(folder) if folder else None)
        if not self._passages:
            raise ValueError(f"cannot retrieve: no .md or .txt document in {folder or 'README.md and docs/'}")
        texts = [f"{passage.heading}\n{passage.text}" for passage in self._passages]
        self._index = build_index(os.environ.get("RETRIEVER_BACKEND") or "bm25", texts)
        log.info("documents are indexed", extra={"passages": len(texts), "backend": type(self._index).__name__})

    def execute(self, parameters: RetrieveRequest, context: Context) -> RetrieveResult:
        """Give the passages that fit the query best."""
        if not parameters.query.strip() or len(parameters.query) > MAX_QUERY:
            context.reject(f"cannot retrieve: a query has 1 to {MAX_QUERY} characters", field="parameters.query")
        if not 1 <= parameters.limit <= MAX_LIMIT:
            detail = f"cannot retrieve {parameters.limit} passages: limit is from 1 to {MAX_LIMIT}"
            context.reject(detail, field="parameters.limit")
        return {"passages": [self._found(*hit) for hit in self._index.search(parameters.query, parameters.limit)]}

    def _found(self, number: int, score: float) -> Found:
        passage = self._passages[number]
        return {"text": passage.text, "source": passage.source, "score": round(score, 4)}


def load_passages(folder: Path | None) -> list[Passage]:
    """Give the passages of every document that can be read; one that cannot is left out, and the log says why."""
    passages: list[Passage] = []
    for name, file in list_documents(folder):
        try:
            passages += split_passages(name, read_text(file))
        except DocumentError as error:
            log.warning("a document is left out", extra={"document": name, "reason": str(error)})
    return passages


def build_index(backend: str, texts: list[str]) -> Index:
    """Give an index of `texts`. Raises ValueError for a backend that is neither `bm25` nor `embeddings`."""
    if backend == "bm25":
        return Bm25(texts)
    if backend != "embeddings":
        raise ValueError(f"cannot retrieve by {backend!r}: RETRIEVER_BACKEND is bm25 or embeddings")
    from agents.embeddings import EmbeddingIndex  # noqa: PLC0415  # heavy, and absent from most installations

    return EmbeddingIndex(texts)
