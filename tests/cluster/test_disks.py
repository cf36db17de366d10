"""The store on disks of its own: one that is read-only, and one that is full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from boshnas.job import Result
from boshnas.run import main
from boshnas.store import STORE_FILE, Store
from boshnas.trial import Decision, Proposal, Status, Trial

pytestmark = pytest.mark.cluster

CHOICES = {"layers": [2, 4]}


class Disk:
    """A file system in memory, of half a megabyte."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = f"cannot mount a disk: {done.stderr.strip()}"
            assert not os.environ.get("BOSHNAS_REQUIRE_CLUSTER"), reason
            pytest.skip(reason)

    def make_read_only(self) -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(self.folder)], check=True)

    def fill(self) -> Path:
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(b"x" * 1024)
        return filler


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    disk = Disk(folder)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def trial_of(number: int) -> Trial:
    return Trial(
        number=number,
        proposal=Proposal(id=f"arch{number}", decision=Decision.RANDOM),
        level=1,
        architecture={"layers": 2},
        parameters={"layers": 2},
        seed=0,
    )


def result_of(number: int) -> Result:
    return Result(number=number, id=f"arch{number}", status=Status.FINISHED, score=1.0, details={"text": "x" * 9000})


def test_a_run_folder_on_a_read_only_disk_is_refused(disk: Disk, capsys: pytest.CaptureFixture[str]):
    begun = disk.folder / "begun"
    assert main(["--space", "flexibert_mini", "--out", str(begun), "--dry-run"]) == 0
    begun.mkdir()
    Store.create(begun / STORE_FILE, {"options": {"space": "flexibert_mini"}}, CHOICES).close()
    disk.make_read_only()
    capsys.readouterr()
    for words in (["--space", "flexibert_mini", "--out", str(disk.folder / "new")], ["--resume", "--out", str(begun)]):
        for more in ([], ["--dry-run"]):  # the resumed run's options are read from the disk first
            assert main([*words, *more]) == 2
            captured = capsys.readouterr()
            assert captured.err.count("\n") == 1
            assert captured.err.startswith("--out: ")
            assert "Read-only file system" in captured.err


def test_a_store_on_a_read_only_disk_can_be_read(disk: Disk):
    path = disk.folder / STORE_FILE
    with Store.create(path, {}, CHOICES) as store:
        store.add(trial_of(0))
        kept = store.finish(result_of(0))
    disk.make_read_only()
    with Store.open(path, read_only=True) as store:
        assert store.trials() == [kept]


def test_a_disk_that_is_full_is_waited_for(disk: Disk, monkeypatch: pytest.MonkeyPatch):
    path = disk.folder / STORE_FILE
    told: list[str] = []
    fillers: list[Path] = []
    num_waits = 0

    def sleep(_: float) -> None:
        nonlocal num_waits
        num_waits += 1
        if num_waits == 3:
            fillers.pop().unlink()

    monkeypatch.setattr("boshnas.store.patience.time.sleep", sleep)
    with Store.create(path, {}, CHOICES, on_wait=told.append) as store:
        store.add(trial_of(0))
        fillers.append(disk.fill())
        for number in range(4):
            if number:
                store.add(trial_of(number))
            store.finish(result_of(number))
        kept = store.trials()
    assert len(told) == 2
    assert "waiting for the store: " in told[0]
    assert "the store is back" in told[1]
    assert num_waits >= 3
    with Store.open(path) as store:
        assert store.trials() == kept
        assert [trial.status for trial in kept] == [Status.FINISHED] * 4
