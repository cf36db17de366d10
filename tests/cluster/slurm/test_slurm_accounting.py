"""Jobs that SLURM's controller has forgotten: its accounting tells how they ended."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from boshnas.executors import SlurmExecutor, SlurmSettings
from boshnas.executors.slurm import commands
from boshnas.executors.slurm.run import ID_FILE
from boshnas.job import STARTED_FILE, Job, Result
from boshnas.trial import Status

pytestmark = pytest.mark.cluster

WORKER = "import sys, time; time.sleep(60) if 'hang' in open(sys.argv[1]).read() else sys.exit(3)"
LIMIT_S = 60.0


def test_the_accounting_tells_how_forgotten_jobs_ended(
    accounted_slurm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    # A controller with so short a memory that it knows the jobs of its queue alone.
    squeue.write_text(
        '#!/bin/bash\nargs=()\nfor word in "$@"; do [ "$word" = --states=all ] || args+=("$word"); done\n'
        'exec /usr/bin/squeue "${args[@]}"\n'
    )
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(squeue.parent), prepend=":")
    settings = SlurmSettings(poll_seconds=0.2, grace_seconds=6.0)
    with SlurmExecutor([sys.executable, "-S", "-c", WORKER, "{job}"], settings, tmp_path) as executor:
        for number, action in enumerate(["fail", "hang"]):
            job = Job(number=number, id=f"arch{number}", architecture={}, seed=0, settings={"action": action})
            executor.submit(job, tmp_path / str(number))
        results: list[Result] = []
        deadline = time.monotonic() + LIMIT_S
        while len(results) < 2 and time.monotonic() < deadline:
            results += executor.poll()
            if (tmp_path / "1" / STARTED_FILE).exists():
                accounted_slurm.run("scancel", (tmp_path / "1" / ID_FILE).read_text().strip())
            time.sleep(0.1)
    ended = {result.number: (result.status, result.error or "") for result in results}
    assert ended[0] == (Status.CRASHED, "The worker ended with return code 3.")
    assert ended[1][0] is Status.CANCELLED
    assert "(CANCELLED" in ended[1][1]


def test_jobs_unknown_to_the_accounting_are_left_out(accounted_slurm: Any):
    assert commands.sacct(["99999", "88888_3"]) == {}


def test_without_accounting_sacct_is_no_answer(slurm: Any):
    with pytest.raises(commands.UnavailableError, match="accounting storage is disabled"):
        commands.sacct(["1"])
