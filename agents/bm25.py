"""BM25, where search engines start (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009)."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from heapq import nlargest

from agents.words import stems, subject_stems

K1 = 1.5  # how soon one more of the same word stops to matter
B = 0.75  # how much a long text is held against it


class Bm25:
    """An index of texts in memory. Built once, then only read, from any thread."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(stems(text)) for text in texts]
        lengths = [count.total() for count in counts]
        mean = sum(lengths) / max(len(lengths), 1)
        self._norms = [K1 * (1 - B + B * length / mean) if mean else K1 for length in lengths]
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, count in enumerate(counts):
            for stem, times in count.items():
                self._postings[stem].append((number, times))

    def search(self, query: str, limit: int) -> list[tuple[int, float]]:
        """Give the best `limit` texts that share a word with `query`: number and score, the best first."""
        scores: dict[int, float] = defaultdict(float)
        for stem in set(subject_stems(query) or stems(query)):
            postings = self._postings.get(stem, ())
            rarity = math.log(1 + (len(self._norms) - len(postings) + 0.5) / (len(postings) + 0.5))
            for number, times in postings:
                scores[number] += rarity * times * (K1 + 1) / (times + self._norms[number])
        return nlargest(limit, scores.items(), key=lambda item: (item[1], -item[0]))
