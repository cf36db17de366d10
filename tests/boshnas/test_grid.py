import io

import pytest
from rich.console import Console
from rich.text import Text

from boshnas.grid import grid

HEADS = ["id", "score", "note[/x]"]
ROWS = [["0123456789abcdef", "71.26", "[bold]a"], ["b", "8.5", ""]]


def lines(width: int, rows: list[list[str]] | list[list[Text]] = ROWS, heads: list[str] = HEADS) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(grid(heads, rows, width, title="Best [by]", right=["score"]))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_all_columns_stand_where_there_is_room_as_they_were_given():
    # 16 + 5 + 8 characters, and two beside each column
    assert lines(35) == [
        "Best [by]",
        " id                score  note[/x]",
        " 0123456789abcdef  71.26  [bold]a",
        " b                   8.5",
    ]


@pytest.mark.parametrize("width", range(28, 35))
def test_columns_that_have_no_room_are_left_out_whole_and_the_others_are_whole(width: int):
    assert lines(width)[1:] == [" id                score  …", " 0123456789abcdef  71.26", " b                   8.5"]


@pytest.mark.parametrize("width", range(21, 28))
def test_the_first_column_alone_is_whole(width: int):
    assert lines(width)[1:] == [" id                …", " 0123456789abcdef", " b"]


@pytest.mark.parametrize("width", range(18, 21))
def test_without_room_for_a_sign_of_more_the_first_column_is_whole(width: int):
    assert lines(width)[1:] == [" id", " 0123456789abcdef", " b"]


@pytest.mark.parametrize("width", range(5, 18))
def test_an_id_that_is_wider_than_the_terminal_goes_on_in_the_next_line(width: int):
    found = lines(width)
    assert "0123456789abcdef" in "".join(line.replace(" ", "") for line in found)
    assert max(map(len, found)) <= width


def test_a_wide_character_takes_its_two_places():
    rows = [["架構", "1"]]
    assert lines(11, rows, ["a", "b"])[-1] == " 架構  1"
    assert lines(8, rows, ["a", "b"])[-1] == " 架構"


def test_a_table_without_rows_has_its_heads():
    assert lines(40, [])[1].split() == HEADS


def test_a_cell_may_be_emphasised():
    stream = io.StringIO()
    console = Console(file=stream, width=40, force_terminal=True, color_system="standard")
    console.print(grid(["a"], [[Text("best", style="bold")], ["other"]], 40))
    assert "\x1b[1mbest" in stream.getvalue()
    assert "\x1b[1mother" not in stream.getvalue()
