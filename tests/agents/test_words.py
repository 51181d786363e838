"""Words: which forms count as one."""

import pytest

from agents.words import stems, subject_stems


@pytest.mark.parametrize(
    "forms",
    [
        "drain drains drained draining",
        "stop stops stopped stopping",
        "pause pauses paused pausing",
        "process processes",
        "call calls called calling",
        "queue queues queued",
        "exit EXIT exits",
    ],
)
def test_the_forms_of_a_word_are_one(forms: str) -> None:
    """Who asks for "draining" finds "drain"."""
    assert len(set(stems(forms))) == 1


def test_different_words_stay_different_and_short_ones_whole() -> None:
    """An ending goes only where a stem of three letters is left."""
    assert stems("ring bed 409 is") == ["ring", "bed", "409", "is"]


def test_stop_words_say_nothing_about_a_subject() -> None:
    """What is left of a question is what it asks about."""
    assert subject_stems("What do the docs say about draining?") == ["doc", "drain"]
