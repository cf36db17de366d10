"""What the search itself costs: evaluations a second, slots that wait for it, and a run of ten thousand trials.

With a store on disk. Throughput: an evaluator that does nothing, in process, random proposals. Slots: workers that
sleep, asynchronous, default surrogate; a slot is lost from the end of a worker to the begin of the next one's. Ten
thousand finished trials: from the start of a process to the first new evaluation, and the proposals after it, without
and with fits in the background.

usage: python benchmarks/engine.py [throughput slots large] [--workers 8] [--seconds 30] [--evaluations 160]
                                   [--trials 10000] [--out FILE.md]
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import outcome

from boshnas.baselines import RandomSearcher
from boshnas.executors import InProcessExecutor, LocalExecutor
from boshnas.executors.base import Executor
from boshnas.job import RESULT_FILE, Job, Result, job_folder
from boshnas.loop import Loop
from boshnas.plan import Plan
from boshnas.searcher import Searcher
from boshnas.space_source import SpaceSource
from boshnas.store import STORE_FILE, Store, new_place, place
from boshnas.trial import Status
from boshnas.view import SilentView
from design_space.architecture import Architecture
from design_space.space import DesignSpace

SPACE, LARGE_SPACE = "flexibert_mini", "flexibert_small"
NUM_AFTER = 20  # evaluations after a resume
PARTS = ("throughput", "slots", "large")
SLEEPER = """
import json, pathlib, sys, time
begin = time.monotonic()
path = pathlib.Path(sys.argv[1])
job = json.loads(path.read_text())
time.sleep(float(sys.argv[2]))
h = job["architecture"]["h"]
score = 70 + 5 * sum(h) / len(h) / 256 + job["architecture"]["l"] + len(set(job["architecture"]["o"])) / 3
result = {"number": job["number"], "id": job["id"], "status": "finished", "score": score}
end = time.monotonic()
result["details"] = {"begin": begin, "end": end}
path.with_name("result.json").write_text(json.dumps(result))
"""


def plan(budgets: Sequence[int], synchronous: bool = False) -> Plan:
    return Plan(
        level_budgets=budgets,
        baselines=(),
        seed=0,
        settings={},
        synchronous=synchronous,
        deadline=None,
        max_failures=0,
    )


def search(
    folder: Path,
    budgets: Sequence[int],
    searcher_of: type[Searcher],
    executor: Executor,
    space: str = SPACE,
    **settings: bool,
) -> Loop:
    source = SpaceSource(DesignSpace.load(space), 0)
    location = new_place(folder, None)
    if (folder / STORE_FILE).exists():
        store = Store.open(place(folder, None))
    else:
        store = Store.create(location, {}, source.space.parameter_choices())
    trials = store.trials()
    for level in range(1, max((trial.level for trial in trials), default=0) + 1):
        source.open_level(level, {t.id: t.score for t in trials if t.level < level and t.score is not None})
    source.add(Architecture.from_model_dict(trial.architecture) for trial in trials)
    searcher = searcher_of(source.pool, seed=0, num_initial=10, neighbors=source.neighbors, **settings)
    return Loop(plan(budgets), store, searcher, source, executor, folder, SilentView())


def no_op(job: Job, folder: Path) -> Result:
    score = float(np.random.default_rng([7, job.number]).normal(70, 5))
    return Result(number=job.number, id=job.id, status=Status.FINISHED, score=score)


def throughput(num_evaluations: int) -> list[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as scratch:
        loop = search(Path(scratch), [num_evaluations], RandomSearcher, InProcessExecutor(no_op))
        begin = time.perf_counter()
        loop.run()
        per_second = num_evaluations / (time.perf_counter() - begin)
    return [("evaluations a second, nothing evaluated, random proposals, stored", ">= 20", f"{per_second:.1f}")]


def slots(num_workers: int, seconds: float, num_evaluations: int) -> list[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as scratch:
        worker = Path(scratch, "sleeper.py")
        worker.write_text(SLEEPER)
        command = [sys.executable, "-S", str(worker), "{job}", str(seconds)]
        with LocalExecutor(command, num_slots=num_workers) as executor:
            search(Path(scratch), [num_evaluations], Searcher, executor, fits_in_background=True).run()
        times = [
            json.loads((job_folder(Path(scratch), number) / RESULT_FILE).read_text())["details"]
            for number in range(num_evaluations)
        ]
    begins = sorted(entry["begin"] for entry in times)
    ends = sorted(entry["end"] for entry in times)
    waits = np.array(begins[num_workers:]) - np.array(ends[: num_evaluations - num_workers])
    worked = sum(ends) - sum(begins)
    lost = 100 * waits.sum() / (waits.sum() + worked)
    name = f"slot time lost, {num_workers} workers × {seconds:g} s, default surrogate, {num_evaluations} evaluations"
    return [
        (name, "<= 2 %", f"{lost:.2f} %"),
        ("wait of a free slot: mean, 95 %, longest", "", ", ".join(f"{w:.2f} s" for w in quantiles(waits))),
    ]


def quantiles(waits: np.ndarray) -> tuple[float, float, float]:
    return float(waits.mean()), float(np.quantile(waits, 0.95)), float(waits.max())


def large(num_trials: int) -> list[tuple[str, str, str]]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        budgets = [num_trials]  # of level 1: of flexibert_small, whose candidates are 20,000 of its 432,653,508
        begin = time.perf_counter()
        search(folder, budgets, RandomSearcher, InProcessExecutor(no_op), LARGE_SPACE).run()
        made = time.perf_counter() - begin
        with Store.open(place(folder, None), read_only=True) as store:
            assert len(store.trials()) == num_trials
        rows = [(f"making {num_trials:,} finished trials", "", f"{made:.0f} s")]
        for in_background in (True, False):
            budgets[-1] += NUM_AFTER
            numbers = [*map(str, budgets), str(int(in_background))]
            words = [sys.executable, __file__, "--resume", scratch, *numbers]
            begin = time.monotonic()
            said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
            first, *later = json.loads(said)
            assert len(later) == NUM_AFTER - 1
            mode = "fits in the background" if in_background else "synchronous"
            rows += [
                (f"resume: process start to the first new proposal, {mode}", "<= 15 s", f"{first - begin:.1f} s"),
                (f"proposals after it, {mode}: median, longest of {len(later)}", "<= 1 s", spread(later)),
            ]
    return rows


def spread(values: Sequence[float]) -> str:
    return f"{np.median(values):.2f} s, {max(values):.2f} s"


def resume(folder: Path, budgets: Sequence[int], in_background: bool) -> None:
    """In a process of its own: go on with the budget; print when the first proposal was made, and seconds of each."""
    moments: list[float] = []
    spent: list[float] = []
    propose = Searcher.propose

    def timed(self: Searcher, *args: object) -> object:
        begin = time.monotonic()
        found = propose(self, *args)  # type: ignore[arg-type]
        moments.append(time.monotonic())
        spent.append(moments[-1] - begin)
        return found

    Searcher.propose = timed  # type: ignore[method-assign,assignment]
    search(folder, budgets, Searcher, InProcessExecutor(no_op), LARGE_SPACE, fits_in_background=in_background).run()
    sys.stdout.write(json.dumps([moments[0], *spent[1:]]) + "\n")


def main() -> None:
    if sys.argv[1:2] == ["--resume"]:
        *budgets, in_background = map(int, sys.argv[3:])
        resume(Path(sys.argv[2]), budgets, bool(in_background))
        return
    parser = outcome.parser(__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="|".join(PARTS))
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--evaluations", type=int, default=160)
    parser.add_argument("--trials", type=int, default=10_000)
    arguments = parser.parse_args()
    rows: list[tuple[str, str, str]] = []
    if "throughput" in arguments.parts:
        rows += throughput(500)
    if "slots" in arguments.parts:
        rows += slots(arguments.workers, arguments.seconds, arguments.evaluations)
    if "large" in arguments.parts:
        rows += large(arguments.trials)
    body = "| what | asked | measured |\n|---|---|---|\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)
    outcome.publish(
        "What the search itself costs",
        ["optuna", "torch", "sqlalchemy"],
        f"{SPACE}; large: {LARGE_SPACE}.",
        body,
        arguments.out,
    )


if __name__ == "__main__":
    main()
