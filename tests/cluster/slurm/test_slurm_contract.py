"""What every executor does, on a real SLURM."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from executor_contract import NUM_SLOTS, ExecutorContract

from boshnas.executors import Executor, SlurmExecutor, SlurmSettings

pytestmark = pytest.mark.cluster


class TestSlurm(ExecutorContract):
    limit_s = 30.0

    def make(self, command: Sequence[str], run_folder: Path, request: pytest.FixtureRequest) -> Executor:
        request.getfixturevalue("slurm")
        settings = SlurmSettings(max_in_flight=NUM_SLOTS, poll_seconds=0.2, grace_seconds=0.5)
        return SlurmExecutor(command, settings, run_folder)
