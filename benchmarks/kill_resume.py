"""Kill a search at random moments (SIGKILL), resume it, and compare its store with an uninterrupted one's.

Each kill takes the driver, one of its workers, or the driver with all workers. Synchronous and seeded, two evaluations
at a time. By default an evaluator of one's own measures, in two stages of which it keeps the first; `--training` lets
the project's worker pre-train and fine-tune (fewer evaluations are wise: each takes half a minute).

usage: python benchmarks/kill_resume.py [--evaluations 60] [--kills 30] [--training] [--seed 0] [--out FILE.md]
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import outcome
import psutil

from boshnas.errors import InputError
from boshnas.store import Store, place
from boshnas.trial import Status, Trial

EVALUATOR = """
import json, pathlib, sys, time
path = pathlib.Path(sys.argv[1])
job = json.loads(path.read_text())
first = path.with_name("first.json")
if not first.exists():
    time.sleep(0.5)
    h = job["architecture"]["h"]
    partial = path.with_name("first.tmp")
    partial.write_text(json.dumps(70 + 5 * sum(h) / len(h) / 256 + len(set(job["architecture"]["o"])) / 3))
    partial.rename(first)
time.sleep(0.9 if job["number"] % 2 else 0.2)  # so that results arrive in another order
path.with_name("pretrained").mkdir(exist_ok=True)  # children take their weights from there
score = json.loads(first.read_text()) + job["architecture"]["l"] / 7
result = {"number": job["number"], "id": job["id"], "status": "finished", "score": score}
partial = path.with_name("result.tmp")
partial.write_text(json.dumps(result))
partial.rename(path.with_name("result.json"))
with open(path.parents[2] / "measured.txt", "a") as file:
    file.write(f"{job['number']}\\n")
"""
TRAINING = ["--pretrain-steps", "40", "--finetune-steps", "4", "--tasks", "sst2,cola"]
KINDS = ("driver", "worker", "both")
LIMIT_S = 1200.0


def start(folder: Path, options: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    begun = folder.exists() and any(folder.glob("store.db"))
    words = ["--resume"] if begun else options
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "boshnas.run", "--out", str(folder), *words],
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def trials(folder: Path) -> list[Trial]:
    try:
        with Store.open(place(folder, None), read_only=True) as store:
            return store.trials()
    except InputError:
        return []


def finished(folder: Path) -> dict[int, Trial]:
    return {trial.number: trial for trial in trials(folder) if trial.status is Status.FINISHED}


def workers(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(driver.pid).children()
    except psutil.Error:
        return []


def wait_for_worker(driver: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while driver.poll() is None and not workers(driver):
        assert time.monotonic() < deadline, "no worker begins"
        time.sleep(0.05)


def kill(kind: str, driver: subprocess.Popen[bytes], rng: np.random.Generator) -> bool:
    """Whether there was something to kill."""
    found = workers(driver)
    targets = list(found) if kind == "both" else [rng.choice(found)] if kind == "worker" and found else []
    if kind in ("driver", "both"):
        if driver.poll() is not None:
            return False
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    for target in targets:
        try:
            target.kill()
        except psutil.NoSuchProcess:
            if kind == "worker":
                return False
    return kind != "worker" or bool(targets)


def compared(trial: Trial) -> tuple[object, ...]:
    scores = (trial.score, dict(trial.task_scores), trial.status)
    return trial.number, trial.id, trial.level, trial.proposal, trial.parent_id, trial.parameters, scores


def interrupted(
    folder: Path, options: Sequence[str], log: Path, num_evaluations: int, num_kills: int, mean_s: float, seed: int
) -> tuple[Counter[str], int]:
    """Run a search to its end with kills, on average so far apart; how many of each kind, and evaluations lost."""
    rng = np.random.default_rng(seed)
    kept: dict[int, Trial] = {}
    done: Counter[str] = Counter()
    lost = 0
    driver = start(folder, options, log)
    while done.total() < num_kills:
        wait_for_worker(driver)
        time.sleep(float(rng.uniform(0, 2 * mean_s)))
        kind = str(rng.choice(KINDS))
        if driver.poll() is None and kill(kind, driver, rng):
            done[kind] += 1
        found = finished(folder)
        lost += sum(found.get(number) != trial for number, trial in kept.items())
        kept = found
        if driver.poll() is not None:
            if len(found) >= num_evaluations:
                break  # over before all kills were made
            driver = start(folder, options, log)
    if driver.poll() is None:
        driver.wait(LIMIT_S)
    if len(finished(folder)) < num_evaluations:
        assert start(folder, options, log).wait(LIMIT_S) == 0, log.read_text()[-3000:]
    return done, lost


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        whole, killed = Path(scratch, "whole"), Path(scratch, "killed")
        log, program = Path(scratch, "log.txt"), Path(scratch, "evaluate.py")
        program.write_text(EVALUATOR)
        measure = TRAINING if arguments.training else ["--evaluator", f"{sys.executable} -S {program} {{job}}"]
        budget = ["--budget", str(arguments.evaluations), "--parallel", "2", "--synchronous"]
        options = ["--space", "flexibert_mini", *budget, *measure]
        begin = time.monotonic()
        assert start(whole, options, log).wait(LIMIT_S) == 0, log.read_text()
        duration = time.monotonic() - begin
        mean_s = 0.45 * duration / arguments.kills
        done, lost = interrupted(killed, options, log, arguments.evaluations, arguments.kills, mean_s, arguments.seed)
        expected, got = trials(whole), trials(killed)
        same = list(map(compared, expected)) == list(map(compared, got))
        repeated = len(got) - len({trial.id for trial in got})
        record = killed / "measured.txt"
        times = Counter(record.read_text().split()) if record.exists() else Counter()
        twice = sum(count > 1 for count in times.values())
        with_parent = sum(trial.parent_id is not None for trial in got)
        retried = sum(len(trial.attempts) for trial in got)
    what = "pre-training and fine-tuning" if arguments.training else "an evaluator of two stages"
    counts = ", ".join(f"{done[kind]} × {kind}" for kind in KINDS)
    setting = f"flexibert_mini, {what}, seed {arguments.seed}; uninterrupted {duration:.0f} s; kills: {counts}."
    body = f"""
| what | asked | measured |
|---|---|---|
| SIGKILLs at random moments | {arguments.kills} | {done.total()} |
| evaluations | {len(expected)} | {len(got)} |
| finished evaluations lost or changed after a kill | 0 | {lost} |
| architectures proposed twice | 0 | {repeated} |
| evaluations measured twice | 0 | {"not told" if arguments.training else twice} |
| evaluations with a parent to take weights from | | {with_parent} |
| attempts that were killed and tried again | | {retried} |
| the store equals the uninterrupted run's (number, id, level, decision, beliefs, parent, scores) | yes | {same} |
"""
    outcome.publish("A search killed and resumed", ["torch", "optuna"], setting, body, arguments.out)
    sys.exit(0 if same and not lost and not repeated and not twice else 1)


if __name__ == "__main__":
    main()
