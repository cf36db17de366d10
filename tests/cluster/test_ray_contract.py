"""What every executor does, on a Ray cluster of this machine."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from executor_contract import NUM_SLOTS, ExecutorContract

from boshnas.executors import Executor
from boshnas.executors.ray.executor import RayExecutor
from boshnas.executors.ray.settings import RaySettings

pytestmark = pytest.mark.cluster


class TestRay(ExecutorContract):
    limit_s = 30.0

    def make(self, command: Sequence[str], run_folder: Path, request: pytest.FixtureRequest) -> Executor:
        address = request.getfixturevalue("ray_cluster")
        settings = RaySettings(address=address, num_cpus=0.5, max_retries=0, max_in_flight=NUM_SLOTS)
        return RayExecutor(command, settings, run_folder, grace_s=1.0)
