import doctest
import re
from pathlib import Path

import pytest

SEARCH = Path(__file__).parents[2] / "docs" / "search.md"


def test_the_examples_of_the_search_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```pycon\n(.*?)```", SEARCH.read_text("utf-8"), re.DOTALL)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, SEARCH.name, str(SEARCH), 0)
    assert len(example.examples) > 10
    assert doctest.DocTestRunner().run(example).failed == 0
