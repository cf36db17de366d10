"""Kill a run (SIGKILL to its whole process group) at random moments, resume it, and compare with an uninterrupted one.

usage: python benchmarks/kill_resume.py [--kills 4] [--seed 0] [--out FILE.md]
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import outcome

from boshnas.errors import InputError
from boshnas.store import STORE_FILE, Store
from boshnas.trial import Status, Trial

OPTIONS = ["--budget", "6", "--pretrain-steps", "4", "--finetune-steps", "4", "--tasks", "sst2,cola", "--synchronous"]


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "boshnas.run", "--out", str(folder), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )


def trials(folder: Path) -> list[Trial]:
    try:
        with Store.open(folder / STORE_FILE) as store:
            return store.trials()
    except InputError:
        return []


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole, killed = Path(scratch, "whole"), Path(scratch, "killed")
        begin = time.monotonic()
        assert start(whole, "--space", "flexibert_mini", *OPTIONS).wait() == 0
        duration = time.monotonic() - begin
        kept: dict[int, Trial] = {}
        moments: list[str] = []
        for attempt in range(arguments.kills + 1):
            first = not (killed / STORE_FILE).exists()
            process = start(killed, *(["--space", "flexibert_mini", *OPTIONS] if first else ["--resume"]))
            if attempt < arguments.kills:
                moment = float(rng.uniform(0.2, 0.6)) * duration
                try:
                    process.wait(moment)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            else:
                assert process.wait() == 0
            found = {trial.number: trial for trial in trials(killed) if trial.status is Status.FINISHED}
            assert all(found[number] == trial for number, trial in kept.items()), "a finished evaluation changed"
            kept = found
            moments.append(f"{len(found)} finished after attempt {attempt + 1}")
        expected, got = trials(whole), trials(killed)
        same = [(t.number, t.id, t.score, t.task_scores) for t in expected] == [
            (t.number, t.id, t.score, t.task_scores) for t in got
        ]
        repeated = len(got) - len({trial.id for trial in got})
    setting = f"{arguments.kills} times SIGKILL to the process group; {'; '.join(moments)}."
    body = f"""
| what | asked | measured |
|---|---|---|
| evaluations of the killed run equal those of the uninterrupted one (id, score, tasks, order) | yes | {same} |
| evaluations | {len(expected)} | {len(got)} |
| repeated | 0 | {repeated} |
"""
    outcome.publish("A run killed and resumed", ["torch", "optuna"], setting, body, arguments.out)
    sys.exit(0 if same and not repeated else 1)


if __name__ == "__main__":
    main()
