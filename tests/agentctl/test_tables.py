"""How a table is fitted into a terminal."""

from agentctl.tables import Table

COLUMNS = ("NAME", "STATE", "DETAIL")
ROW = ("a-rather-long-name", "running", "x" * 30)


def test_a_table_without_a_width_is_whole() -> None:
    """A pipe has no width."""
    table = Table(COLUMNS, [ROW])
    assert table.head() == "NAME                 STATE     DETAIL"
    assert table.line(ROW) == "   ".join(ROW)


def test_gaps_shrink_before_a_cell_is_cut() -> None:
    """55 letters and two gaps of one space fit into 57 columns."""
    assert Table(COLUMNS, [ROW], width=57).line(ROW) == " ".join(ROW)


def test_the_widest_column_is_cut_first_and_the_name_last() -> None:
    """A name is there to be copied into the next command."""
    assert Table(COLUMNS, [ROW], width=40).line(ROW) == "a-rather-long-name running xxxxxxxxxxxx…"
    assert Table(COLUMNS, [ROW], width=20).line(ROW) == "a-rathe… runn… xxxx…"


def test_later_rows_stand_below_the_first_ones() -> None:
    """A longer cell moves what follows it, and the next row follows suit."""
    table = Table(("NAME", "STATE"), [("a", "running")])
    assert [table.line(("a", "x")), table.line(("longer", "x")), table.line(("a", "x"))] == [
        "a      x",
        "longer   x",
        "a        x",
    ]
