"""`print` as log lines: whole ones, in order, bounded, and those of two threads apart."""

import threading

from agent_adapter.printing import LineStream


def stream() -> tuple[LineStream, list[str]]:
    """Give a stream and what it hands on."""
    said: list[str] = []
    return LineStream(said.append), said


def test_lines_are_handed_on_whole() -> None:
    """However they are written; empty ones are none."""
    out, said = stream()
    for text in ("a", "b\n", "\n", "c\nd", "", "e\n"):
        assert out.write(text) == len(text)
    assert said == ["ab", "c", "de"]


def test_a_line_without_an_end_is_cut() -> None:
    """A program that never ends a line does not fill the memory."""
    out, said = stream()
    for _ in range(100):
        out.write("x" * 10_000)
    assert sum(map(len, said)) > 900_000
    assert max(map(len, said)) <= 64 * 1024


def test_threads_do_not_mix_their_lines() -> None:
    """Each ends its own."""
    out, said = stream()
    out.write("main ")
    other = threading.Thread(target=lambda: print("other", file=out))
    other.start()
    other.join()
    out.write("line\n")
    assert said == ["other", "main line"]
