"""What every test of a real cluster component needs."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

INSTALL = Path(__file__).with_name("install.sh")
SERVER_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
"""Daemons lie where a user's PATH often does not lead."""


@pytest.fixture(scope="session")
def require() -> Callable[[str], str]:
    """A function of a program's name: its path.

    Where it is not installed the test is skipped, or fails if BOSHNAS_REQUIRE_CLUSTER=1 is set.
    """

    def find(program: str) -> str:
        path = shutil.which(program, path=SERVER_PATH)
        if path is not None:
            return path
        message = f"{program} is not installed: run {INSTALL}"
        if os.environ.get("BOSHNAS_REQUIRE_CLUSTER") == "1":
            pytest.fail(message)
        pytest.skip(message)

    return find
