"""A summary made of the text's own sentences: those whose words the text uses most, in the order of the text.

Luhn's idea, The Automatic Creation of Literature Abstracts, 1958.
"""

import re
from collections import Counter
from heapq import nlargest
from itertools import islice

from agents.words import subject_stems

FENCED = re.compile(r"^\s*(```|~~~).*?^\s*\1[^\n]*$", re.MULTILINE | re.DOTALL)
UNSPOKEN = re.compile(r"^\s*(\|.*|#+\s.*|[-=_*\s]+)$", re.MULTILINE)  # table rows, headings, rules
MARKS = re.compile(r"\*\*|__|`|^\s*(?:[-*+]|\d+\.)\s+", re.MULTILINE)
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
SENTENCE_END = re.compile(r"(?<=[.!?:])\s+(?=[\"'(A-Z0-9])|\n\s*\n")
FEWEST_WORDS = 4  # what is shorter says nothing by itself


def summarise(text: str, count: int) -> str:
    """Give at most `count` sentences of a plain or markdown text; all of the text's words where it has no sentence."""
    sentences = list(split_sentences(text))
    subjects = [subject_stems(sentence) for sentence in sentences]
    uses = Counter(stem for stems in subjects for stem in stems)
    weights = [sum(uses[stem] for stem in set(stems)) / (len(stems) + FEWEST_WORDS) for stems in subjects]
    best = nlargest(count, range(len(sentences)), key=lambda number: (weights[number], -number))
    return " ".join(sentences[number] for number in sorted(best)) or " ".join(islice(text.split(), 100))


def split_sentences(text: str) -> list[str]:
    """Give the sentences of a text in order, each once, without markdown's marks, code and tables."""
    prose = MARKS.sub("", LINK.sub(r"\1", UNSPOKEN.sub("\n\n", FENCED.sub("\n\n", text))))
    sentences = (" ".join(sentence.split()) for sentence in SENTENCE_END.split(prose))
    return list(dict.fromkeys(sentence for sentence in sentences if len(sentence.split()) >= FEWEST_WORDS))
