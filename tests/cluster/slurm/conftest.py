"""A real SLURM of one node with two processors, without systemd and cgroups; without accounting, and with it."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import waiting

NUM_CPUS = 2
START_LIMIT_S = 30.0
CONFIGURATION = """
ClusterName=boshnas
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CryptoType=crypto/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=bf_interval=1,sched_interval=2
ReturnToService=2
KillWait=2
OverTimeLimit=0
MinJobAge=60
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=ALL Default=YES MaxTime=2:00:00 DefaultTime=30 PriorityTier=1
PartitionName=cheap Nodes=ALL MaxTime=2:00:00 PriorityTier=1 PreemptMode=CANCEL
PartitionName=urgent Nodes=ALL MaxTime=2:00:00 PriorityTier=9
"""

ACCOUNTING = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass=slurm
"""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


wait_until = partial(waiting.wait_until, limit_s=START_LIMIT_S)


class Slurm:
    """The daemons and their folder, all of it temporary and on private ports."""

    def __init__(self, find: Callable[[str], str], more: str = "") -> None:
        self._find = find
        for name in ("munged", "slurmctld", "slurmd", "sbatch"):
            find(name)
        self.folder = Path(tempfile.mkdtemp(prefix="boshnas-slurm-"))
        self.folder.chmod(0o755)
        self.host = socket.gethostname().split(".")[0]
        self.config = self.folder / "slurm.conf"
        controller_port, node_port = free_ports(2)
        self.config.write_text(
            (CONFIGURATION + more).format(
                host=self.host, folder=self.folder, controller_port=controller_port, node_port=node_port
            )
        )
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all, and wait until the node takes jobs."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir(exist_ok=True)
        self._start_munge()
        self._start_accounting()
        self.start_controller()
        self._daemon("slurmd", "-D", "-f", str(self.config))
        self.revive_node()

    def start_controller(self) -> None:
        """Start slurmctld; jobs that it knew before are known again."""
        self._daemon("slurmctld", "-D", "-f", str(self.config))
        assert wait_until(lambda: self.run("scontrol", "ping").returncode == 0), self.log("slurmctld")

    def kill_controller(self) -> None:
        """End slurmctld with no chance to tidy up."""
        self._end("slurmctld", is_polite=False)

    def stop_controller(self) -> None:
        """End slurmctld as an administrator does."""
        self._end("slurmctld", is_polite=True)

    def revive_node(self) -> None:
        """Make the node take jobs, whatever became of it."""

        def idle() -> bool:
            state = self.run("sinfo", "--noheader", "--format=%T").stdout.split()
            if state and not state[0].startswith(("idle", "mixed", "alloc", "completing")):
                self.run("scontrol", "update", f"nodename={self.host}", "state=resume")
            return bool(state) and state[0] in ("idle", "mixed", "allocated")

        assert wait_until(idle), self.log("slurmd")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of SLURM's commands."""
        return subprocess.run(words, capture_output=True, text=True, env=self.environment(), timeout=60)

    def environment(self) -> dict[str, str]:
        """Variables with which SLURM's commands find this cluster."""
        return os.environ | {"SLURM_CONF": str(self.config)}

    def show(self, id_: str) -> dict[str, str]:
        """What SLURM knows of a job."""
        words = self.run("scontrol", "--oneliner", "show", "job", id_).stdout.split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def queue(self) -> list[str]:
        """`ID NAME STATE` of every job that has not ended."""
        return self.run("squeue", "--array", "--noheader", "--format=%i %j %T").stdout.splitlines()

    def clear(self) -> None:
        """End all jobs and make the node fit for the next test."""
        self.run("scontrol", "update", "partitionname=main", "state=up", "maxtime=2:00:00")
        self.revive_node()
        self.run("scancel", "--user=root")
        assert wait_until(lambda: not self.queue()), self.queue()

    def stop(self) -> None:
        """End the daemons and remove their folder."""
        self.run("scancel", "--user=root")
        wait_until(lambda: not self.queue(), limit_s=10)
        for name in list(self._daemons):
            self._end(name, is_polite=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self, name: str) -> str:
        """The end of a daemon's log."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def _start_accounting(self) -> None:
        """There is none."""

    def _start_munge(self) -> None:
        """munged refuses to run as root, and to keep its files where others may write."""
        user = pwd.getpwnam("munge")
        folder = self.folder / "munge"
        folder.mkdir(mode=0o755)
        key = folder / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        for path in (folder, key):
            os.chown(path, user.pw_uid, user.pw_gid)
        files = [f"--{name}-file={folder / name}" for name in ("key", "pid", "log", "seed")]
        self._daemon("munged", "--foreground", f"--socket={folder / 'socket'}", *files, user=user.pw_uid)
        assert wait_until((folder / "socket").exists), self.log("munged")

    def _daemon(self, name: str, *words: str, user: int | None = None) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                [self._find(name), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                user=user,
                start_new_session=True,
            )

    def _end(self, name: str, is_polite: bool) -> None:
        daemon = self._daemons.pop(name)
        daemon.terminate() if is_polite else daemon.kill()
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


class AccountedSlurm(Slurm):
    """With slurmdbd and a database of its own."""

    def __init__(self, find: Callable[[str], str]) -> None:
        self._port, self._database_port = free_ports(2)
        for name in ("slurmdbd", "mariadbd", "mariadb-install-db"):
            find(name)
        super().__init__(
            find,
            "AccountingStorageType=accounting_storage/slurmdbd\n"
            f"AccountingStorageHost=127.0.0.1\nAccountingStoragePort={self._port}\nAccountingStoragePass={{folder}}/munge/socket\nJobAcctGatherType=jobacct_gather/none",
        )

    def _start_accounting(self) -> None:
        self._start_database()
        config = self.folder / "slurmdbd.conf"
        config.touch(mode=0o600)
        config.write_text(
            ACCOUNTING.format(folder=self.folder, port=self._port, database_port=self._database_port), encoding="utf-8"
        )
        self._daemon("slurmdbd", "-D")
        assert wait_until(lambda: self.run("sacctmgr", "--noheader", "list", "cluster").returncode == 0), self.log(
            "slurmdbd"
        )
        self.run("sacctmgr", "--immediate", "add", "cluster", "boshnas")

    def _start_database(self) -> None:
        data, start = self.folder / "data", self.folder / "start.sql"
        subprocess.run(
            [self._find("mariadb-install-db"), "--no-defaults", "--user=mysql", f"--datadir={data}"],
            check=True,
            capture_output=True,
        )
        start.write_text("CREATE USER slurm@localhost IDENTIFIED BY 'slurm';\nGRANT ALL ON *.* TO slurm@localhost;\n")
        user = pwd.getpwnam("mysql")
        options = {
            "datadir": data,
            "socket": data / "socket",
            "pid-file": data / "pid",
            "port": self._database_port,
            "bind-address": "127.0.0.1",
            "init-file": start,
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        self._daemon("mariadbd", "--no-defaults", *words, user=user.pw_uid)
        assert wait_until((data / "socket").exists), self.log("mariadbd")


def running(kind: type[Slurm], find: Callable[[str], str]) -> Iterator[Slurm]:
    if os.geteuid() != 0:
        is_required = os.environ.get("BOSHNAS_REQUIRE_CLUSTER") == "1"
        (pytest.fail if is_required else pytest.skip)("the tests of SLURM start its daemons: run them as root")
    slurm = kind(find)
    try:
        slurm.start()
        yield slurm
    finally:
        slurm.stop()


@pytest.fixture(scope="session")
def running_slurm(require: Callable[[str], str]) -> Iterator[Slurm]:
    """Started once for all tests."""
    yield from running(Slurm, require)


@pytest.fixture(scope="session")
def running_accounted_slurm(require: Callable[[str], str]) -> Iterator[Slurm]:
    """Started once for all tests."""
    yield from running(AccountedSlurm, require)


@pytest.fixture
def slurm(running_slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """With nothing in its queue, and found by SLURM's commands."""
    monkeypatch.setenv("SLURM_CONF", str(running_slurm.config))
    yield running_slurm
    running_slurm.clear()


@pytest.fixture
def accounted_slurm(running_accounted_slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """The same with accounting."""
    monkeypatch.setenv("SLURM_CONF", str(running_accounted_slurm.config))
    yield running_accounted_slurm
    running_accounted_slurm.clear()
