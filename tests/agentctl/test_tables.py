"""How a table is fitted into a terminal."""

from agentctl.fitting import SPARED, columns_with_room
from agentctl.rows import AGENTS, INSTANCES, TASKS
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


def test_columns_that_can_be_spared_are_left_out_before_a_cell_is_cut() -> None:
    """The least wanted goes first; a pipe has room for all."""
    columns = ("NAME", "STATE", "QUEUED", "AGE", "ADAPTER")
    rows = [("a-rather-long-name", "running", "0", "5m", "0.1.0")]

    def shown(width: int | None, kept: tuple[str, ...] = ()) -> list[str]:
        return [columns[at] for at in columns_with_room(columns, rows, width, kept)]

    assert shown(None) == list(columns)
    assert shown(45) == list(columns)
    assert shown(44) == ["NAME", "STATE", "QUEUED", "AGE"]
    assert shown(35) == ["NAME", "STATE", "AGE"]
    assert shown(10) == ["NAME", "STATE"]
    assert shown(10, kept=("QUEUED",)) == ["NAME", "STATE", "QUEUED"]


def test_a_long_text_is_cut_and_spares_no_other_column() -> None:
    """What is there to be read, not typed, counts with 40 characters at most."""
    rows = [("planner", "x" * 200, "5m")]
    assert columns_with_room(("NAME", "PROGRESS", "AGE"), rows, 60) == [0, 1, 2]


def test_what_can_be_spared_are_columns_that_there_are() -> None:
    """A renamed column would never be left out again."""
    assert set(SPARED) <= {name for kind in (AGENTS, INSTANCES, TASKS) for name in kind.columns + kind.wide}
