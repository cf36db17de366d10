import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from boshnas.doctor import database, disk, machine, ray, slurm
from boshnas.doctor.__main__ import main
from boshnas.doctor.checks import Check, failure, ok, warning
from boshnas.executors.ray.settings import RaySettings


@pytest.fixture(autouse=True)
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """What the checks of this machine find; tests add to it."""
    found = [ok("python", "3.11"), warning("memory", "1 GiB", "Buy some.")]

    def nothing(*_: object) -> Iterator[Check]:
        return iter(())

    monkeypatch.setattr(machine, "check_python", lambda: iter(found))
    for module, name in (
        (machine, "check_gpus"),
        (machine, "check_cores_and_memory"),
        (disk, "check_disk"),
        (database, "check_storage"),
        (slurm, "check_slurm"),
        (slurm, "check_submission"),
        (ray, "check_ray"),
    ):
        monkeypatch.setattr(module, name, nothing)
    return found


def test_one_line_a_check_with_the_remedy(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 0
    assert capsys.readouterr().out == "ok       python: 3.11\nwarning  memory: 1 GiB. Buy some.\n"


def test_a_failure_is_exit_code_1(checks: list[Check], capsys: pytest.CaptureFixture[str]):
    checks.append(failure("disk", "full", "Make room."))
    assert main(["--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["failures"] == 1
    assert content["checks"][-1] == {"name": "disk", "status": "failure", "message": "full", "remedy": "Make room."}


def test_the_settings_of_the_executor_are_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    seen: list[RaySettings] = []
    monkeypatch.setattr(ray, "check_ray", lambda settings: seen.append(settings) or iter(()))
    (tmp_path / "ray.yaml").write_text("num_cpus: 2")
    assert main(["--executor", "ray", "--executor-config", str(tmp_path / "ray.yaml")]) == 0
    assert seen == [RaySettings(num_cpus=2)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--executor", "rai"], "--executor: must be one of"),
        (["--executor-config", "/none.yaml"], "--executor-config: /none.yaml cannot be read: No such file"),
        (["--submit"], "--submit: must go with --executor slurm, got 'local'. Leave it out."),
        (["--subm"], "No such option"),
    ],
)
def test_wrong_options_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err
    assert said.err.count("\n") == 1


def test_ray_that_is_absent_is_one_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (check,) = ray.check_ray(RaySettings())
    assert check.remedy == "Install it: pip install -c constraints.txt -e '.[ray]'"
