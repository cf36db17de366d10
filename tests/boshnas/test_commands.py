import importlib.util
import re
import subprocess
import sys

import pytest

from boshnas.__main__ import _COMMANDS, main
from boshnas.version import VERSION

OPTION = {"list": "--json", "show": "--top", "report": "--format", "dashboard": "--port", "export": "--to"}


def is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(_COMMANDS[name].module) is not None
    except ModuleNotFoundError:  # of its package
        return False


COMMANDS = [
    pytest.param(name, marks=() if is_there(name) else pytest.mark.skip(reason="not there yet")) for name in _COMMANDS
]


def test_the_package_names_its_commands_with_an_example_each(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for word in ("--help", "-h"):
        assert main([word]) == 0
        assert capsys.readouterr().out == said.err
    for name in ("run", "bench", "report", "dashboard", "export", "doctor", "simulate", "list", "show"):
        assert f"$ boshnas {name} " in said.err
        assert f"  {name} " in said.err


@pytest.mark.parametrize("width", [1, 20, 80, 200])
def test_the_help_fits_any_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int):
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) < max(width, 20)
    assert "boshnas simulate --table nas_bench_bert" in " ".join(text.split())


def test_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"boshnas {VERSION}\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["rnu"], "boshnas: no such command: 'rnu'. Did you mean 'run'? See --help.\n"),
        (["Simulat", "x"], "boshnas: no such command: 'Simulat'. Did you mean 'simulate'? See --help.\n"),
        (["--verison"], "boshnas: no such option: '--verison'. Did you mean '--version'? See --help.\n"),
        (["zzz"], "boshnas: no such command: 'zzz'. Choose one of run, list, show, "),
        (["a\nb\x1b[31m"], "boshnas: no such command: 'a\\nb\\x1b[31m'. "),
    ],
)
def test_an_unknown_word_is_told_in_one_line(capsys: pytest.CaptureFixture[str], words: list[str], expected: str):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(expected)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_with_an_example(capsys: pytest.CaptureFixture[str], name: str):
    assert main([name, "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"Usage: boshnas {name}" in text
    assert re.search(rf"Examples?: boshnas {name}\b", text)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_refuses_a_misspelt_option_with_the_nearest(capsys: pytest.CaptureFixture[str], name: str):
    right = OPTION.get(name, "--help")
    wrong = right[:-1] + "x" + right[-1]
    assert main([name, wrong]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"boshnas {name}: No such option: {wrong}. Did you mean {right!r}? See --help.\n"


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["run", "--budget", "many"], "--budget"),
        (["bench", "--table", "t", "--seeds", "1.5"], "--seeds"),
        (["simulate", "--table", "t", "--oom-rate", "often"], "--oom-rate"),
        (["show", "run", "--top", "all"], "--top"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], option: str
):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith(f"boshnas {words[0]}: Invalid value for '{option}': ")


@pytest.mark.parametrize("name", ["--help", "--version"])
def test_the_package_needs_no_library_for_its_help(name: str):
    code = (
        "import sys\n"
        "from boshnas.__main__ import main\n"
        f"assert main([{name!r}]) == 0\n"
        "assert not {'typer', 'rich', 'numpy', 'pydantic', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_brings_no_heavy_library(name: str):
    code = (
        "import sys\n"
        "from boshnas.__main__ import main\n"
        f"assert main([{name!r}, '--help']) == 0\n"
        "heavy = {'torch', 'transformers', 'pandas', 'optuna', 'plotly', 'scipy', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_as_a_module_and_as_a_script_it_is_the_same():
    module = subprocess.run([sys.executable, "-m", "boshnas", "--version"], capture_output=True, text=True)
    script = subprocess.run(
        [sys.executable, "-c", "import sys; from boshnas.__main__ import console; sys.exit(console())", "--version"],
        capture_output=True,
        text=True,
    )
    assert (module.returncode, script.returncode) == (0, 0)
    assert module.stdout == script.stdout
