import doctest
import re
from pathlib import Path

import pytest

from boshnas.executors.config import load_executor_config

SEARCH = Path(__file__).parents[2] / "docs" / "search.md"
RUNNING = SEARCH.with_name("running.md")


def test_the_examples_of_the_search_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```pycon\n(.*?)```", SEARCH.read_text("utf-8"), re.DOTALL)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, SEARCH.name, str(SEARCH), 0)
    assert len(example.examples) > 10
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_settings_of_executors_that_are_shown_can_be_used(tmp_path: Path):
    shown = re.findall(r"```yaml\n(.*?)```", RUNNING.read_text("utf-8"), re.DOTALL)
    assert len(shown) == 3
    for name, text in zip(("local", "slurm", "ray"), shown, strict=True):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        settings = load_executor_config(name, path)
        assert len(settings.model_fields_set) > 4
