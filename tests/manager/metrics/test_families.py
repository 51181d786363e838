"""Families of metrics as text that is kept."""

import pytest
from agent_manager.metrics.families import Family, Kind, Lines


def lines(text: str, rich: str | None = None) -> Lines:
    """Give an owner's lines."""
    plain = text.encode()
    return Lines(plain, plain if rich is None else rich.encode())


def text(family: Family, *, rich: bool = False) -> str:
    """Give all lines of a family."""
    return b"".join(block.text(rich=rich) for block in family.blocks()).decode()


@pytest.mark.parametrize(
    ("kind", "plain", "rich"),
    [
        ("counter", "# HELP x_total {}\n# TYPE x_total counter\n", "# HELP x {}\n# TYPE x counter\n"),
        ("gauge", "# HELP x {}\n# TYPE x gauge\n", "# HELP x {}\n# TYPE x gauge\n"),
        ("unknown", "# HELP x {}\n# TYPE x untyped\n", "# HELP x {}\n# TYPE x unknown\n"),
        ("info", "# HELP x_info {}\n# TYPE x_info gauge\n", "# HELP x {}\n# TYPE x info\n"),
    ],
)
def test_each_format_has_its_own_head(kind: Kind, plain: str, rich: str) -> None:
    """They differ in what a family is called, and in what is escaped."""
    family = Family("x", kind, 'a "b"\n\\')
    assert family.head(rich=False).decode() == plain.format('a "b"\\n\\\\')
    assert family.head(rich=True).decode() == rich.format('a \\"b\\"\\n\\\\')


def test_an_owner_has_its_last_lines() -> None:
    """Until it goes."""
    family = Family("x", "gauge", "X.")
    for number in range(3):
        family.put("a", lines(f"x{{a}} {number}\n"))
    family.put("b", lines("x{b} 7\n"))
    assert text(family) == "x{a} 2\nx{b} 7\n"
    family.drop("a")
    family.drop("nobody")
    assert text(family) == "x{b} 7\n"
    assert len(family) == 1
    family.drop("b")
    assert list(family.blocks()) == []


def test_a_block_is_compressed_again_when_somebody_in_it_changes() -> None:
    """And not when it says the same again, or another block changes."""
    family = Family("x", "gauge", "X.")
    for number in range(200):
        family.put(str(number), lines(f"x {number}\n"))
    before = [block.packed(rich=False) for block in family.blocks()]
    family.put("3", lines("x 3\n"))
    assert [block.packed(rich=False) for block in family.blocks()] == before
    family.put("3", lines("x 4\n"))
    changed = [new is not old for new, old in zip((b.packed(rich=False) for b in family.blocks()), before, strict=True)]
    assert changed == [True, False, False, False]


def test_both_formats_share_what_is_equal() -> None:
    """Only where there are exemplars are there two texts to compress."""
    family = Family("x", "histogram", "X.")
    family.put("a", lines("x_count 1\n"))
    (block,) = family.blocks()
    assert block.packed(rich=True) is block.packed(rich=False)
    family.put("b", lines("x_bucket 1\n", 'x_bucket 1 # {trace_id="0"} 1\n'))
    assert block.packed(rich=True).size > block.packed(rich=False).size
    assert text(family, rich=True) == 'x_count 1\nx_bucket 1 # {trace_id="0"} 1\n'


def test_blocks_stay_small_and_are_used_again() -> None:
    """Owners that come and go leave no holes; one with much text has room for few others."""
    family = Family("x", "gauge", "X.")
    for number in range(1000):
        family.put(str(number), lines("x 1\n"))
    for number in range(0, 1000, 2):
        family.drop(str(number))
    for number in range(1000, 1500):
        family.put(str(number), lines("x 1\n"))
    assert len(list(family.blocks())) == 16
    for number in range(3):
        family.put(f"large {number}", lines("x 1\n" * 70_000))
    assert len(list(family.blocks())) == 18
    assert text(family).count("x 1\n") == 1000 + 210_000
