"""How a Ray cluster is reached, and what it has."""

import importlib
import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from boshnas.errors import InputError
from boshnas.executors.ray.settings import RaySettings

NAMESPACE = "boshnas"
OPTION = "--executor ray"
"""What a person wrote to get here, for messages."""
_GIB = 2**30
_SOCKET_TIMEOUT_S = 5.0
_PROBE_TIMEOUT_S = 40.0
# Nothing of weight goes through Ray's object store, which would take a third of the memory.
_OBJECT_STORE_BYTES = 100 * 2**20
_QUIET: dict[str, Any] = {
    "namespace": NAMESPACE,
    "logging_level": logging.ERROR,
    "configure_logging": False,
    "log_to_driver": False,
}
# Else Ray prints the logs of nodes that die on standard output, whatever it is told about logs.
_SILENT = {"RAY_DEDUP_LOGS_SKIP_REGEX": "."}
# Joins a cluster in a process of its own: one that does not answer would hold the search for minutes, or end it.
_PROBE = (
    "import sys, ray\n"
    "try:\n"
    "    ray.init(address=sys.argv[1], logging_level='CRITICAL', log_to_driver=False)\n"
    "except BaseException as error:\n"
    "    causes = [error, error.__cause__]\n"
    "    sys.exit(' / '.join(' '.join(str(cause).split()) for cause in causes if cause))\n"
)
_AUTHENTICATION = "AuthenticationError"


def check_cluster(settings: RaySettings) -> None:
    """Refuse a cluster that no evaluation could run in; nothing stays behind.

    Raises:
        InputError: If Ray is absent, the cluster cannot be joined, or no node ever holds an evaluation.
    """
    ray = connect(settings)
    try:
        num_fitting(settings, node_resources(ray))
    finally:
        ray.shutdown()


def connect(settings: RaySettings) -> Any:
    """Join a cluster, or start one on this machine; Ray is imported here and not before.

    Returns:
        The module `ray`; its `shutdown` ends the connection and what was started.

    Raises:
        InputError: If Ray is absent or in use by this process already, or the cluster cannot be joined.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            f"{OPTION}: the package ray must be installed, got a Python without it. "
            "Install it: pip install -c constraints.txt -e '.[ray]'."
        )
    if "ray" in sys.modules and sys.modules["ray"].is_initialized():
        raise InputError(
            f"{OPTION}: Ray must not be in use by this process, got one that is connected. Call ray.shutdown() first."
        )
    return _start() if settings.address is None else _join(settings.address)


def _start() -> Any:
    """Start Ray here: it listens on 127.0.0.1, tells nobody, and knows no address of a store."""
    changes = {
        **_SILENT,
        "BOSHNAS_STORAGE": None,
        "RAY_ADDRESS": None,
        "RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token"),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # the only switch to loopback that there is
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray's own watch over memory knows nothing of the children of its workers and would end the keeper, too.
        "RAY_memory_monitor_refresh_ms": "0",
    }
    own = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    return _init("local", changes, own)


def _join(address: str) -> Any:
    """Join a cluster that runs, with the token that it asks for."""
    _check_port(address)
    changes: dict[str, str | None] = dict(_SILENT)
    said = _probe(address, changes)
    if _AUTHENTICATION in said and "RAY_AUTH_MODE" not in os.environ:
        # Ray asks for a token only where it is told to; where the cluster wants one, the user's own is tried.
        changes["RAY_AUTH_MODE"] = "token"
        said = _probe(address, changes)
    if _AUTHENTICATION in said:
        raise InputError(
            f"{OPTION}: address must be a cluster that lets this user in, got {address!r}, which wants another "
            "token. Set RAY_AUTH_TOKEN, or copy ~/.ray/auth_token from the cluster's head."
        )
    if said:
        raise _unreachable(address, said)
    return _init(address, changes, {})


def _init(address: str, changes: Mapping[str, str | None], own: Mapping[str, object]) -> Any:
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    with _environment(changes):
        ray = importlib.import_module("ray")  # reads the environment
        try:
            ray.init(address=address, **_QUIET, **own)
        except (Exception, SystemExit) as error:
            raise _unreachable(address, str(error)) from None
        finally:
            if is_main:
                signal.signal(signal.SIGTERM, handler)  # Ray takes it
    return ray


def _check_port(address: str) -> None:
    """Find out at once where nothing listens."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _SOCKET_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, str(error)) from None


def _probe(address: str, changes: Mapping[str, str | None]) -> str:
    """Why a cluster cannot be joined; empty where it can be."""
    environment = dict(os.environ) | {"RAY_NUM_REDIS_GET_RETRIES": "2", **{k: v for k, v in changes.items() if v}}
    environment.pop("BOSHNAS_STORAGE", None)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, address],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_TIMEOUT_S:g} seconds"
    if done.returncode == 0:
        return ""
    return _AUTHENTICATION if _AUTHENTICATION in done.stderr else done.stderr or "no reason given"


def _unreachable(address: str, said: str) -> InputError:
    reason = (said.strip() or "no reason given").splitlines()[-1][:300]
    return InputError(
        f"{OPTION}: address must be a Ray cluster that can be joined from this machine, got {address!r}: {reason}. "
        "Check `ray status` there, or leave address out to start Ray here."
    )


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Change variables of the environment for a while; None removes one."""
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def needs(settings: RaySettings) -> dict[str, float]:
    """What an evaluation takes, as Ray counts it: memory in bytes."""
    memory = 0 if settings.memory_gib is None else int(settings.memory_gib * _GIB)
    return {
        name: value
        for name, value in (("CPU", settings.num_cpus), ("GPU", settings.num_gpus), ("memory", memory))
        if value
    }


def num_fitting(settings: RaySettings, nodes: list[Mapping[str, float]]) -> int:
    """How many evaluations the nodes hold at the same time.

    Raises:
        InputError: If none ever does.
    """
    wanted = needs(settings)
    count = sum(min(int(node.get(name, 0) / value + 1e-9) for name, value in wanted.items()) for node in nodes)
    if count > 0:
        return count
    for name, setting, unit in (("CPU", "num_cpus", 1), ("GPU", "num_gpus", 1), ("memory", "memory_gib", _GIB)):
        most = max((node.get(name, 0) for node in nodes), default=0)
        if wanted.get(name, 0) > most:
            raise InputError(
                f"{OPTION}: {setting} must be what some node of the cluster has, got {wanted[name] / unit:g}. "
                f"The largest has {int(most / unit * 100) / 100:g}: ask for less, or add a node."
            )
    raise InputError(
        f"{OPTION}: num_cpus, num_gpus and memory_gib must fit on one node together, got "
        f"{settings.num_cpus:g}, {settings.num_gpus:g} and {settings.memory_gib or 0:g}, which no node has. "
        "Ask for less, or add a node."
    )


def node_resources(ray: Any) -> list[Mapping[str, float]]:
    """What each node that is up has, as Ray counts it."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]
