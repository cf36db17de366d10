import pytest

from design_space import InputError
from design_space.command_line import exit_code


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), (5, 5)])
def test_return_value_is_the_exit_code(returned: int | None, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: returned) == code
    assert capsys.readouterr().err == ""


def test_wrong_input_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise InputError("space: must be\n  a file,\tgot 'x'.")

    assert exit_code(command) == 2
    captured = capsys.readouterr()
    assert captured.err == "space: must be a file, got 'x'.\n"
    assert captured.out == ""


def test_further_input_errors_are_told_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise FileNotFoundError("no such job")

    assert exit_code(command, FileNotFoundError) == 2
    assert capsys.readouterr().err == "no such job\n"
    with pytest.raises(FileNotFoundError, match="no such job"):
        exit_code(command, KeyError)


def test_interruption_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise KeyboardInterrupt

    assert exit_code(command) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_other_errors_pass() -> None:
    def command() -> None:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        exit_code(command)
