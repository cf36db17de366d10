import pytest

from boshnas.__main__ import main


def test_the_package_names_its_commands(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert main(["--help"]) == 0
    helped = capsys.readouterr()
    assert helped.out == said.err
    for name in ("run", "bench", "export", "doctor"):
        assert f"python -m boshnas.{name} " in said.err
