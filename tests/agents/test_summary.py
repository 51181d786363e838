"""The summary: whose sentences it is made of."""

from agents.summary import split_sentences, summarise

PAGE = """# Title that is no sentence

First the **drain** begins and `stop` is said. Then the [drain](drain.md) goes on for long.

```
agentctl drain executor --extend 5m now
```

| a | table row with many words here |
|---|---|

- The drain of a list item ends.
1. Weather is something else.
"""


def test_sentences_are_prose_without_marks() -> None:
    """Headings, code and tables are not sentences; emphasis and links are only their words."""
    assert split_sentences(PAGE) == [
        "First the drain begins and stop is said.",
        "Then the drain goes on for long.",
        "The drain of a list item ends.",
        "Weather is something else.",
    ]


def test_the_sentences_that_share_most_with_the_others_are_kept_in_order() -> None:
    """What the page speaks of most often decides, not where it stands."""
    assert summarise(PAGE, 3) == " ".join(split_sentences(PAGE)[:3])
    assert "drain" in summarise(PAGE, 1)


def test_a_repeated_sentence_is_given_once() -> None:
    """Passages of one page may overlap."""
    assert summarise("The same thing is said. The same thing is said.", 5) == "The same thing is said."


def test_a_text_without_a_sentence_is_its_own_summary() -> None:
    """Also an empty one."""
    assert summarise("three small words", 3) == "three small words"
    assert summarise("", 3) == ""
