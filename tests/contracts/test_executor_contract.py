"""What every executor does, on this machine."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from executor_contract import NUM_SLOTS, ExecutorContract

from boshnas.executors import Executor, LocalExecutor


class TestLocal(ExecutorContract):
    def make(self, command: Sequence[str], run_folder: Path, request: pytest.FixtureRequest) -> Executor:
        return LocalExecutor(command, num_slots=NUM_SLOTS, grace_s=1.0)
