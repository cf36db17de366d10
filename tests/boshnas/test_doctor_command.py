import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from boshnas.doctor import database, disk, machine, ray, slurm
from boshnas.doctor.__main__ import main
from boshnas.doctor.checks import Check, failure, ok, warning
from boshnas.executors.ray.settings import RaySettings
from boshnas.store import Database


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
        (["--out", ""], "--out: must name a folder, got ''."),
        (["--storage", "absent"], "--storage: absent must be a file that holds a URL"),
        (["--storage", "postgresql://a:hidden@h/d"], "no password on the command line"),
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


def test_the_database_of_the_option_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    seen: list[Database | None] = []
    monkeypatch.setattr(database, "check_storage", lambda named: seen.append(named) or iter(()))
    (tmp_path / "url").write_text("postgresql://ann:hidden@127.0.0.1:1/runs\n")
    (tmp_path / "url").chmod(0o600)
    assert main(["--storage", str(tmp_path / "url")]) == 0
    assert main([]) == 0
    named, none = seen
    assert str(named) == "postgresql://127.0.0.1:1/runs"
    assert none is None


@pytest.mark.parametrize("is_fit", [True, False])
def test_no_job_is_submitted_to_a_cluster_with_a_fault(
    is_fit: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    found = [ok("slurm", "23.11") if is_fit else failure("slurm", "sbatch not found", "Load it.")]
    monkeypatch.setattr(slurm, "check_slurm", lambda settings: iter(found))
    monkeypatch.setattr(slurm, "check_submission", lambda *_: iter([ok("slurm job", "came back")]))
    assert main(["--executor", "slurm", "--submit"]) == (0 if is_fit else 1)
    said = capsys.readouterr().out
    assert ("slurm job" in said) is is_fit
    assert said.count("sbatch not found") == (0 if is_fit else 1)
