"""SLURM's commands are stood in for by small scripts; the real ones have tests of their own."""

import os
from pathlib import Path

import pytest

from boshnas.doctor import slurm
from boshnas.doctor.checks import Check, Outcome
from boshnas.executors.slurm import SlurmSettings

# Partition, whether it is up, state of its nodes, their number.
SINFO = "debug*|up|idle|2\ndebug*|up|drained|1\nnight|inactive|idle|1\ngone|up|down*|3\nlong|up|mixed|4"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that are found before all others; sbatch runs its script at once."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    for name in ("squeue", "scancel"):
        write(folder, name, "exit 0")
    write(
        folder,
        "sbatch",
        '[ "$1" = --version ] && echo slurm 22.05.8 && exit; for w; do :; done; sh -c "${w#--wrap=}"; echo 12',
    )
    write_partitions(folder, SINFO)
    write(folder, "scontrol", "echo 'AccountingStorageType   = accounting_storage/slurmdbd'")
    monkeypatch.setattr(slurm, "_WAIT_INTERVAL_S", 0.01)
    return folder


def write(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def write_partitions(folder: Path, rows: str) -> None:
    """A sinfo that tells of these, each with a limit of an hour."""
    limits = "\n".join(f"{row.partition('|')[0]}|1:00:00" for row in rows.splitlines())
    write(folder, "sinfo", f"case \"$*\" in *%l*) echo '{limits}';; *) echo '{rows}';; esac")


def by_name(partition: str | None = None, **settings: str) -> dict[str, Check]:
    checks = slurm.check_slurm(SlurmSettings(partition=partition, **settings))  # type: ignore[arg-type]
    return {check.name: check for check in checks}


def test_a_sound_cluster(cluster: Path):
    checks = by_name()
    assert {check.status for check in checks.values()} == {Outcome.OK}
    assert checks["slurm"].message == "slurm 22.05.8"
    assert checks["slurm partition"].message == "debug is up (2 idle, 1 drained)"
    assert checks["slurm accounting"].message == "on"


@pytest.mark.parametrize(
    ("partition", "status", "message"),
    [
        ("debug", Outcome.OK, "debug is up"),
        ("night", Outcome.FAILURE, "night is inactive"),
        ("evening", Outcome.FAILURE, "partition must be one of the cluster's, got 'evening'"),
        ("debug,evening", Outcome.FAILURE, "partition must be one of the cluster's, got 'evening'"),
        ("gone", Outcome.WARNING, r"no node that takes jobs (3 down*)"),
        ("long,gone", Outcome.OK, "gone is up, long is up (3 down*, 4 mixed)"),
        ("debug,night", Outcome.OK, "debug is up, night is inactive (2 idle, 1 drained)"),
    ],
)
def test_the_partition_of_the_config(cluster: Path, partition: str, status: Outcome, message: str):
    check = by_name(partition)["slurm partition"]
    assert check.status is status
    assert message in check.message
    if status is Outcome.FAILURE:
        assert "debug, gone, " in check.remedy


def test_a_cluster_without_a_default_partition(cluster: Path):
    write_partitions(cluster, "night|up|idle|1")
    check = by_name()["slurm partition"]
    assert check.status is Outcome.FAILURE
    assert "this cluster has no default one" in check.message
    assert check.remedy == "Choose of: night."


def test_a_time_beyond_the_partitions_limit(cluster: Path):
    assert by_name("debug", time="1:00:00")["slurm partition"].status is Outcome.OK
    check = by_name("debug", time="2:00:00")["slurm partition"]
    assert check.status is Outcome.FAILURE
    assert "time must be at most 1:00:00" in check.message
    assert check.remedy == "Lower it or choose another partition."


def test_accounting_that_is_off_is_a_warning_with_its_consequence(cluster: Path):
    write(cluster, "scontrol", "echo 'AccountingStorageType   = accounting_storage/none'")
    check = by_name()["slurm accounting"]
    assert check.status is Outcome.WARNING
    assert "no longer knows why a job ended" in check.message


def test_a_controller_that_does_not_answer(cluster: Path):
    write(cluster, "sinfo", "echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1")
    checks = by_name()
    assert list(checks) == ["slurm", "slurm controller"]
    assert checks["slurm controller"].status is Outcome.FAILURE
    assert "Unable to contact" in checks["slurm controller"].message


def test_commands_without_their_configuration(cluster: Path):
    write(cluster, "sbatch", "echo 'sbatch: fatal: Could not establish a configuration source' >&2; exit 1")
    (check,) = slurm.check_slurm(SlurmSettings())
    assert check.status is Outcome.FAILURE
    assert "Could not establish" in check.message
    assert "SLURM_CONF" in check.remedy


def test_without_slurm_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (check,) = slurm.check_slurm(SlurmSettings())
    assert (check.status, check.message) == (Outcome.FAILURE, "sbatch, squeue, sinfo, scontrol, scancel not found")


def test_a_job_that_writes_into_the_folder(cluster: Path, tmp_path: Path):
    (check,) = slurm.check_submission(tmp_path / "a run's folder", ["--partition=debug", "--gres=gpu:8"])
    assert (check.status, check.name) == (Outcome.OK, "slurm job")
    assert "job 12 wrote into" in check.message
    assert os.listdir(tmp_path / "a run's folder") == []


def test_a_folder_that_is_not_shared(cluster: Path, tmp_path: Path):
    write(cluster, "sbatch", "echo 12")
    (check,) = slurm.check_submission(tmp_path, [])
    assert check.status is Outcome.FAILURE
    assert "share" in check.remedy


def test_a_job_that_is_refused(cluster: Path, tmp_path: Path):
    write(cluster, "sbatch", "echo 'sbatch: error: Invalid account' >&2; exit 1")
    (check,) = slurm.check_submission(tmp_path, [])
    assert check.status is Outcome.FAILURE
    assert "Invalid account" in check.message


def test_a_job_that_waits_too_long_is_cancelled(cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(cluster, "sbatch", "echo '12;cluster'")
    write(cluster, "squeue", "echo PENDING")
    write(cluster, "scancel", f"echo $1 > {tmp_path}/cancelled")
    monkeypatch.setattr(slurm, "_JOB_TIMEOUT_S", 0.2)
    (check,) = slurm.check_submission(tmp_path, [])
    assert check.status is Outcome.WARNING
    assert (tmp_path / "cancelled").read_text() == "12\n"
