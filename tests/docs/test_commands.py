"""Every command and all Python of README.md and docs/, page by page, at the budgets of `shown_budgets`."""

import importlib
import runpy
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from shown import Block, blocks, commands, words_of
from shown_budgets import (
    GRANTED,
    INSTEAD,
    INSTEAD_IN_PYTHON,
    INSTEAD_OF_COMMAND,
    NOT_OURS,
    ONLY_PARSED,
    SHRUNK,
    TAKEN_FOR_GRANTED,
)

from boshnas import Run
from finetune.commands.task import parse as parse_finetune

FAST = {"docs/own-table.md", "docs/design-space.md", "docs/benchmarks.md", "docs/contributing.md"}
FAST |= {"docs/slurm.md", "docs/ray.md", "docs/model.md", "docs/pretraining.md"}
WITH_CODE = sorted({block.page for block in blocks() if block.language in ("sh", "python")})


def module_of(words: Sequence[str]) -> tuple[str, list[str]]:
    """Module and arguments of a command of this project."""
    if words[0] == "boshnas":
        return f"boshnas.{words[1]}", list(words[2:])
    assert list(words[:2]) == ["python", "-m"], f"{shlex.join(words)}: stands in no table of shown_budgets"
    return words[2], list(words[3:])


def is_not_ours(text: str) -> bool:
    return any(text.startswith(start) for start in NOT_OURS)


def shrunk(module: str, rest: Sequence[str]) -> list[str]:
    """The arguments with what makes them cheap."""
    programs = [program.partition(" ") for program in SHRUNK]
    fitting = ["".join(parts) for parts in programs if parts[0] == module and (not parts[2] or parts[2] in rest)]
    assert fitting, f"{module} {shlex.join(rest)}: stands in no table of shown_budgets"
    words = [word for given in rest for word in INSTEAD.get(given, (given,))]
    words += SHRUNK[fitting[0]]
    if module == "finetune" and "--data" not in words and ("--task_name" in words or "glue" in words):
        words += ["--data", "my-glue"]
    if module == "boshnas.run" and "glue" in words:
        words[words.index("glue")] = "my-glue"
    return [filled(word) for word in words]


def filled(text: str) -> str:
    """With the first run of this page where RUN stands, and its best architecture where ID stands."""
    if "runs/RUN" not in text and text != "ID":
        return text
    run = min(Path("runs").iterdir())  # names tell their time
    if text == "ID":
        best = Run.open(run).best
        assert best is not None
        return best.id
    return text.replace("runs/RUN", str(run))


def run(words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As `python -m` does, in this process."""
    text = shlex.join(words)
    if is_not_ours(text):
        return
    if text in ONLY_PARSED:
        parsed(words)
        return
    module, rest = module_of(shlex.split(INSTEAD_OF_COMMAND.get(text, text)))
    rest = shrunk(module, rest)
    monkeypatch.setattr(sys, "argv", [module, *rest])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")  # it was imported before
        code: object = 0
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=False)
        except SystemExit as end:
            code = end.code
    assert not code, f"{module} {shlex.join(rest)}: exit code {code}"


def parsed(words: Sequence[str]) -> None:
    """Read the options of a command and do nothing."""
    module, rest = module_of(words)
    if module == "finetune":
        parse_finetune(rest)
        return
    found = importlib.import_module(module)
    if not hasattr(found, "app"):
        found = importlib.import_module(f"{module}.__main__")
    typer.main.get_command(found.app).make_context(module, rest)


def do_block(block: Block, names: dict[str, Any], do: Callable[[Sequence[str]], None]) -> None:
    if block.language == "sh":
        for words in words_of(block):
            do(words)
    elif block.language == "python":
        text = filled(block.text)
        for shown, instead in INSTEAD_IN_PYTHON.get(block.page, {}).items():
            text = text.replace(shown, instead)
        exec(compile(text, f"{block.page}:{block.line}", "exec"), names)


@pytest.mark.parametrize(
    "page", [page if page in FAST else pytest.param(page, marks=pytest.mark.slow) for page in WITH_CODE]
)
def test_what_a_page_shows_runs(page: str, place: Path, monkeypatch: pytest.MonkeyPatch):
    for text in TAKEN_FOR_GRANTED.get(page, ()):
        run(shlex.split(text), monkeypatch)
    names: dict[str, Any] = {"__name__": "shown"}
    exec(GRANTED.get(page, ""), names)
    for block in blocks():
        if block.page == page and not block.is_file:
            do_block(block, names, lambda words: run(words, monkeypatch))


def test_every_command_is_run_or_stands_in_a_list():
    for command in commands():
        if not is_not_ours(command.text) and command.text not in ONLY_PARSED:
            shrunk(*module_of([word for word in command.words if word not in ("runs/RUN", "ID")]))


def test_the_lists_hold_nothing_that_is_not_shown():
    shown = [command.text for command in commands()]
    assert set(ONLY_PARSED) <= set(shown)
    assert set(INSTEAD_OF_COMMAND) <= set(shown)
    assert all(any(text.startswith(start) for text in shown) for start in NOT_OURS)
    given = {word for command in commands() for word in command.words}
    assert set(INSTEAD) <= given


def test_a_command_that_is_in_no_list_is_found():
    for text in ("boshnas nothing runs/first", "python -m nothing", "curl https://example.org"):
        assert not is_not_ours(text)
        with pytest.raises(AssertionError, match="no table"):
            shrunk(*module_of(shlex.split(text)))


def test_an_option_that_does_not_exist_is_found_where_a_command_is_only_parsed():
    for text in ONLY_PARSED:
        parsed(shlex.split(text))
        with pytest.raises(Exception, match="nothing"):
            parsed(shlex.split(f"{text} --nothing"))
