import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import boshnas

ROOT = Path(__file__).parents[2]


def test_import_does_not_bring_torch() -> None:
    code = "import sys, boshnas; assert not {'torch', 'sklearn', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_search_needs_no_language_model() -> None:
    code = (
        "import sys\n"
        "for name in ('transformers', 'datasets', 'design_space', 'pretrain', 'finetune'): sys.modules[name] = None\n"
        "import boshnas, boshnas.table_command\n"
        "assert all(getattr(boshnas, name) for name in boshnas.__all__)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_resolve() -> None:
    assert boshnas.Searcher.__name__ == "Searcher"
    assert set(boshnas.__all__) <= set(dir(boshnas))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = boshnas.Nothing


def test_everything_that_is_installed_directly_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [Requirement(text) for group in asked for text in group]
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    for requirement in requirements:
        if requirement.name != project["name"]:
            assert requirement.specifier.contains(pinned[requirement.name]), requirement
