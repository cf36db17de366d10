import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from boshnas.doctor import machine
from boshnas.doctor.checks import Check, Outcome, ask, failure, ok, run_checks


def test_packages_that_are_there_are_well():
    check = machine.check_packages(
        [Requirement("numpy>=2"), Requirement("pytest"), Requirement("none; extra == 'ray'")]
    )
    assert (check.status, check.message) == (Outcome.OK, "all 2 are as wanted")


def test_absent_and_old_packages_are_told_with_the_command_to_install_them():
    check = machine.check_packages([Requirement("numpy>=99"), Requirement("no-such-package>=1"), Requirement("pytest")])
    assert check.status is Outcome.FAILURE
    assert "numpy is 2." in check.message
    assert ">=99 is wanted; no-such-package is absent" in check.message
    assert check.remedy == "Install them: pip install 'numpy>=99' 'no-such-package>=1'"


def test_sources_that_are_not_installed_are_a_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "PACKAGE", "no-such-package")
    (check,) = machine.check_python()
    assert (check.status, check.name) == (Outcome.WARNING, "packages")
    assert "pip install" in check.remedy


@pytest.mark.parametrize(
    ("listed", "count", "cuda", "said", "status", "words"),
    [
        ([], 0, "13.0", [], Outcome.OK, "none: evaluations run on the CPU"),
        (["A100, 550, 80 GiB"], 1, "13.0", [], Outcome.OK, "1 in use by torch (CUDA 13.0): A100"),
        (["A100"], 0, None, [], Outcome.FAILURE, "torch was built without CUDA"),
        (["A100"], 0, "13.0", ["The NVIDIA driver on your system is too old"], Outcome.FAILURE, "driver is too old"),
        (["A100"], 0, "13.0", ["CUDA unknown\nerror"], Outcome.FAILURE, "torch cannot use them (CUDA unknown error)"),
    ],
)
def test_gpus(
    monkeypatch: pytest.MonkeyPatch,
    listed: list[str],
    count: int,
    cuda: str | None,
    said: list[str],
    status: Outcome,
    words: str,
):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    check = machine._gpu_check(listed, count, cuda, said)
    assert check.status is status
    assert words in check.message
    assert bool(check.remedy) == (status is not Outcome.OK)


def test_hidden_gpus_are_a_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine._gpu_check(["A100"], 0, "13.0", []).status is Outcome.WARNING


def test_the_gpus_of_this_machine_are_looked_at():
    assert [check.name for check in machine.check_gpus()] == ["gpus", "precision"]


def test_a_limit_of_the_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    limit, unlimited = tmp_path / "limit", tmp_path / "unlimited"
    limit.write_text(f"{3 * 2**30}\n")
    unlimited.write_text("max\n")
    monkeypatch.setattr(machine, "_CGROUP_LIMITS", (unlimited, limit, tmp_path / "absent"))
    cores, memory = machine.check_cores_and_memory()
    assert cores.status is Outcome.OK
    assert (memory.status, memory.message) == (Outcome.WARNING, "3.0 GiB")


def test_a_check_that_raises_is_a_failure_after_those_before_it():
    def checks() -> "list[Check]":
        yield ok("a", "fine")
        raise RuntimeError("no\nmore")

    assert list(run_checks("subject", checks)) == [
        ok("a", "fine"),
        failure("subject", "could not be checked: RuntimeError: no more", "Report this line if it makes no sense."),
    ]


def test_a_command_is_asked_and_its_last_line_of_complaint_is_told():
    python = sys.executable
    assert ask([python, "-c", "print(' 3 ')"]) == (True, "3")
    assert ask([python, "-c", "raise SystemExit('a\\nb')"]) == (False, "b")
    assert ask([python, "-c", "raise SystemExit(4)"]) == (False, f"{python} ended with return code 4")
    assert ask([python, "-c", "import time; time.sleep(60)"], 0.2) == (
        False,
        f"{python} gave no answer within 0.2 seconds",
    )
    assert ask(["no-such-program"]) == (False, "no-such-program is not found")


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom boshnas.doctor.__main__ import main\ncode = main(['--help'])\n"
        "assert not {'torch', 'ray', 'optuna', 'transformers'} & set(sys.modules)\nraise SystemExit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "--executor-config" in done.stdout
