"""Words of a text as the retriever and the executor count them."""

import re

WORD = re.compile(r"[a-z0-9]+")
ENDINGS = ("ing", "ed", "es", "s", "e")
SHORTEST_STEM = 3

STOP_WORDS = frozenset(
    WORD.findall(
        """
        a about all also an and any are as at be been but by can could did do does each for from had has
        have how i if in into is it its may me more most no not of on one only or our out over say says so
        than that the their them then there these they this those to up us was we were what when where which
        who why will with would you your
        """,
    ),
)


def stems(text: str) -> list[str]:
    """Give the words of `text` in order, lower case, each without its ending: drain, drains and draining are one."""
    return [_stem(word) for word in WORD.findall(text.lower())]


def subject_stems(text: str) -> list[str]:
    """Give the stems of the words that say what `text` is about: without the stop words."""
    return [_stem(word) for word in WORD.findall(text.lower()) if word not in STOP_WORDS]


def _stem(word: str) -> str:
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > SHORTEST_STEM and word[-1] == word[-2] else word  # stopp(ing) and stop
