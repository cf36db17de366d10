"""What the pages of the documentation say of files, figures and names, beside their commands."""

import ast
import doctest
import importlib
import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from shown import PAGES, ROOT, Block, blocks, files

from boshnas.executors.config import load_executor_config
from design_space.space import DesignSpace
from pretrain.config import load_recipe

LANGUAGES = {"sh", "python", "pycon", "yaml", "csv", "math", ""}
EXECUTORS = {"docs/running.md": "local", "docs/slurm.md": "slurm", "docs/ray.md": "ray"}
FOLDERS = ("boshnas", "design_space", "pretrain", "finetune")
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.md"))
SCRIPTS = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text("utf-8"))


def of(language: str) -> list[Block]:
    return [block for block in blocks() if block.language == language]


def test_every_block_is_of_a_language_that_is_tested():
    assert {block.language for block in blocks()} <= LANGUAGES


@pytest.mark.parametrize("page", sorted({block.page for block in of("pycon")}))
def test_the_examples_of_a_page_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    text = "\n".join(block.text for block in of("pycon") if block.page == page)
    example = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("block", of("yaml"), ids=lambda block: f"{block.page}:{block.line}")
def test_the_settings_that_are_shown_can_be_used(block: Block, tmp_path: Path):
    path = tmp_path / "shown.yaml"
    path.write_text(block.text)
    if block.page in EXECUTORS:
        assert len(load_executor_config(EXECUTORS[block.page], path).model_fields_set) > 4
    elif block.page == "docs/own-space.md":
        assert DesignSpace.load(str(path)).size(3) > 1000
    else:
        assert block.page == "docs/pretraining.md"
        assert len(load_recipe(str(path)).corpus or ()) == 3


def test_the_files_that_are_shown_have_names():
    assert set(files()) == {"results.csv", "my-space.yaml", "train.py"}


def public() -> list[tuple[str, str]]:
    """Package and name of all that stands in an `__all__`."""
    found = []
    for path in (file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))):
        if re.search(r"^__all__ = ", path.read_text("utf-8"), re.MULTILINE):
            package = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found += [(package, name) for name in importlib.import_module(package).__all__]
    return found


@pytest.mark.parametrize(("package", "name"), public())
def test_a_public_name_is_documented(package: str, name: str):
    value = getattr(importlib.import_module(package), name)
    if isinstance(value, type):
        assert vars(value).get("__doc__"), "no docstring"
    elif inspect.isfunction(value):
        assert value.__doc__, "no docstring"
    else:
        assert _string_after(package, name), "no docstring"
    pages = "".join(path.read_text("utf-8") for path in (ROOT / "docs" / "reference").glob("*.md"))
    assert re.search(rf"^::: .*\.{name}$", pages, re.MULTILINE), "not in docs/reference"


def _string_after(package: str, name: str) -> bool:
    """Whether a constant has a docstring, in whichever file of the package it stands."""
    path = ROOT.joinpath(*package.split("."))
    for file in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
        body = ast.parse(file.read_text("utf-8")).body
        for statement, after in zip(body, body[1:], strict=False):
            targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
            names = [ast.unparse(target) for target in targets if target is not None]
            if name in names and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                return True
    return False


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_is_linked_beside_its_script(path: Path):
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert f"| `{path.stem}.py` | [{path.stem}](../benchmarks/results/{path.name}) |" in page


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_of_the_benchmarks_is_told_of(path: Path):
    assert f"`{path.name}`" in (ROOT / "docs" / "benchmarks.md").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_of_the_benchmarks_has_help(path: Path):
    done = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "usage" in done.stdout.lower()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_anchors_of_a_page_lead_somewhere(path: Path):
    """As GitHub shows it; the site's own are checked by `mkdocs build --strict`."""
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_figure_of_the_ablation_is_drawn_from_its_result():
    figures = runpy.run_path(str(ROOT / "docs" / "figures.py"))
    assert figures["ablation"]() == figures["FIGURE"].read_text("utf-8"), "run: python docs/figures.py"
    first, second = figures["tables"](figures["ABLATION"].read_text("utf-8"))
    assert [len(first), len(second)] == [5, 3]
    assert first[1].name == "networks only"
    assert figures["FIGURE"].read_text("utf-8").count("<circle") == 5


def test_figures_of_the_ablation_are_those_of_its_result():
    page = (ROOT / "docs" / "how-boshnas-works.md").read_text("utf-8")
    for line in (ROOT / "benchmarks" / "results" / "ablation.md").read_text("utf-8").splitlines():
        if re.match(r"\| [\w-]+ .*\d", line):
            assert re.sub(r"\s+", "", line) in re.sub(r"[^\S\n]+", "", page), line
