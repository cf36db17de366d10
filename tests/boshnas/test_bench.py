import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from boshnas.bench import methods, plot, report
from boshnas.bench.__main__ import main
from boshnas.bench.measure import Plan, Run, Task, measure, starting_rows
from boshnas.bench.methods import METHODS
from boshnas.bench.workers import Failure, run_tasks
from boshnas.errors import InputError
from boshnas.searcher import Searcher
from boshnas.table import Table
from boshnas.trial import Decision

rng = np.random.default_rng(0)
WIDTH, DEPTH = rng.integers(1, 30, 80), rng.integers(1, 5, 80)
LOSS = 100.0 + (WIDTH - 17) ** 2 + 3 * DEPTH + np.arange(80) / 1000
FRAME = pd.DataFrame({"op": np.where(WIDTH % 2, "odd", "even"), "width": WIDTH, "depth": DEPTH, "loss": LOSS})
WORDS = ("--table", "t.csv", "--objective", "loss", "--minimize")
PLAN = Plan(initial=4, budget=9)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: with a whole table, and one with a row that is not measured."""
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("t.csv", index=False)
    FRAME.assign(loss=[*LOSS[:-1], None]).to_csv("part.csv", index=False)
    return tmp_path


def table() -> Table:
    return Table(FRAME, objective="loss", minimize=True)


def run_of(method: str, seed: int, *regret: float, num_proposals: int = 2, seconds: float = 1.0) -> Run:
    return Run(task=Task(method=method, seed=seed), regret=regret, num_proposals=num_proposals, seconds=seconds)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a command that ends with exit code 2 and says nothing else."""
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


class Script:
    """Proposes rows in a given order."""

    def __init__(self, order: list[str]) -> None:
        self.order = order
        self.told: dict[str, float | None] = {}
        self.noise: dict[str, float] = {}

    def tell(self, results: dict[str, float | None], noise_std: dict[str, float] | None = None) -> None:
        self.told |= results
        self.noise |= noise_std or {}

    def ask(self, k: int, pending: Any = ()) -> list[str]:
        return [self.order.pop(0)]


def scripted(monkeypatch: pytest.MonkeyPatch, order: list[str]) -> Script:
    script = Script(order)
    monkeypatch.setitem(METHODS, "random", methods.Method(lambda table, seed, initial: script))
    return script


def test_regret_is_the_distance_of_the_best_so_far(monkeypatch: pytest.MonkeyPatch):
    start = starting_rows(80, PLAN, 7)
    others = [row for row in np.argsort(-LOSS).tolist() if row not in start][:5]
    script = scripted(monkeypatch, [str(row) for row in others])
    run = measure(table(), PLAN, Task(method="random", seed=7))
    assert run.regret == pytest.approx((np.minimum.accumulate(LOSS[[*start, *others]]) - LOSS.min()).tolist())
    assert run.num_proposals == 5
    assert script.told == {str(row): pytest.approx(-LOSS[row]) for row in [*start, *others]}


def test_a_run_ends_where_the_best_is_found(monkeypatch: pytest.MonkeyPatch):
    best = int(LOSS.argmin())
    assert best not in starting_rows(80, PLAN, 0)
    scripted(monkeypatch, [str(best)])
    done: list[int] = []
    run = measure(table(), PLAN, Task(method="random", seed=0), done.append)
    assert run.regret[4:] == (0.0,) * 5
    assert run.num_proposals == 1
    assert sum(done) == 9


def test_a_method_that_repeats_itself_is_refused(monkeypatch: pytest.MonkeyPatch):
    scripted(monkeypatch, [str(starting_rows(80, PLAN, 0)[0])])
    with pytest.raises(RuntimeError, match="must propose one row that is not measured"):
        measure(table(), PLAN, Task(method="random", seed=0))


def test_known_noise_is_told(monkeypatch: pytest.MonkeyPatch):
    script = scripted(monkeypatch, [str(row) for row in range(80) if row not in starting_rows(80, PLAN, 0)])
    noisy = Table(FRAME, objective="loss", minimize=True, noise_std="depth")
    measure(noisy, PLAN, Task(method="random", seed=0))
    assert script.noise == {id_: DEPTH[int(id_)] for id_ in script.told}


def test_all_methods_start_from_the_same_rows():
    runs = [measure(table(), PLAN, Task(method=name, seed=3)) for name in ("random", "evolution", "tpe", "gp")]
    assert len({run.regret[:4] for run in runs}) == 1
    assert starting_rows(80, PLAN, 3) == np.random.default_rng(3).permutation(80)[:4].tolist()
    assert starting_rows(80, PLAN, 3) != starting_rows(80, PLAN, 4)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs_and_repeats_by_seed(name: str):
    if name == "botorch":
        pytest.importorskip("botorch")
    plan = Plan(initial=4, budget=6)
    first, again = (measure(table(), plan, Task(method=name, seed=1)) for _ in range(2))
    assert first.regret == again.regret
    assert (np.diff(first.regret) <= 0).all()
    assert min(first.regret) >= 0


@pytest.mark.parametrize(("name", "decision"), [("gp", Decision.OPTIMISE), ("random", Decision.RANDOM)])
def test_the_search_has_its_random_start_behind_it(name: str, decision: Decision):
    searcher = METHODS[name].make(table(), 0, 4)
    assert isinstance(searcher, Searcher)
    searcher.tell(table().utilities("1234"))
    assert searcher.propose(1)[0].decision is decision


def test_results_are_means_over_seeds():
    runs = [run_of("a", 1, 4.0, 2.0, 2.0), run_of("b", 0, 1.0, 1.0, 1.0), run_of("a", 0, 4.0, 4.0, 0.0, seconds=3.0)]
    best, second = report.results(runs, Plan(initial=1, budget=3))
    assert (best.method, second.method) == ("b", "a")
    assert second.mean.tolist() == [4.0, 3.0, 1.0]
    assert second.sem.tolist() == [0.0, 1.0, 1.0]  # |4 − 2| / √2 / √2
    assert second.auc == 2.0
    assert second.seconds_per_proposal == 1.0
    assert np.isnan(best.sem).all()


def test_no_proposal_has_no_time():
    (result,) = report.results([run_of("a", 0, 0.0, 0.0, num_proposals=0, seconds=1e-6)], Plan(initial=1, budget=2))
    assert result.seconds_per_proposal is None


def test_equal_methods_share_a_rank():
    plan = Plan(initial=1, budget=2)
    found = report.results([run_of("a", 0, 2.0, 1.0), run_of("b", 0, 2.0, 1.0), run_of("c", 0, 2.0, 1.5)], plan)
    assert report.mean_ranks(found, [2]) == [1.5, 1.5, 3.0]


def test_checkpoints_lie_within_the_budget():
    assert report.checkpoints(Plan(initial=1, budget=99)) == [25, 50, 99]
    assert report.checkpoints(Plan(initial=1, budget=50)) == [25, 50]
    assert report.checkpoints(Plan(initial=1, budget=9)) == [9]


def test_the_command_ends_with_one_object(capsys: pytest.CaptureFixture[str]):
    words = (*WORDS, "--methods", "random,evolution", "--seeds", "2", "--seed", "5", "--budget", "30")
    assert main([*words, "--initial", "5", "--json"]) == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert captured.out.count("\n") == 1
    assert (summary["table"], summary["objective"], summary["seeds"]) == ("t.csv", "loss", 2)
    assert (summary["budget"], summary["num_runs"], summary["num_finished"]) == (30, 4, 4)
    assert set(summary) == {"methods", "table", "objective", "seeds", "budget", "num_runs", "num_finished"}
    plan = Plan(initial=5, budget=30)
    for name in ("random", "evolution"):
        runs = [measure(table(), plan, Task(method=name, seed=seed)) for seed in (5, 6)]
        (expected,) = report.results(runs, plan)
        found = summary["methods"][name]
        assert found.pop("seconds_per_proposal") > 0
        assert found == {
            "regret": {"25": expected.mean[24], "30": expected.mean[29]},
            "sem": {"25": expected.sem[24], "30": expected.sem[29]},
            "auc": pytest.approx(expected.auc),
        }
        assert f"{name}, seed 6: regret" in captured.err


def test_a_person_sees_the_methods_in_order(capsys: pytest.CaptureFixture[str]):
    assert main([*WORDS, "--methods", "random,tpe", "--seeds", "3", "--budget", "27"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "Regret of loss on t.csv, mean of 3 seeds, the first 10 random"
    assert lines[1].split() == ["method", "auc", "mean", "rank", "after", "27", "after", "25", "s", "/", "proposal"]
    assert {lines[2].split()[0], lines[3].split()[0]} == {"random", "tpe"}
    assert lines[4].startswith("Versions: optuna ")
    assert "op: categorical, 2 levels" in captured.err


def test_in_eighty_columns_the_first_of_the_results_are_whole():
    rng = np.random.default_rng(0)
    found = [
        report.Result(method=name, regret=rng.uniform(1e-3, 1e-2, (5, 100)), initial=10, seconds_per_proposal=0.5)
        for name in ("boshnas", "optuna-tpe", "botorch-gp")
    ]
    stream = io.StringIO()
    Console(file=stream, width=80).print(report.shown(found, Plan(initial=10, budget=100), 80))
    heads, *rows = stream.getvalue().splitlines()
    assert "after 100" in heads
    assert heads.rstrip().endswith("…")
    assert len(rows) == len(found)
    for result, row in zip(found, rows, strict=True):
        assert row.startswith(f" {result.method} ")
        assert f"{result.mean[99]:.3g} ± {result.sem[99]:.2g}" in row


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--methods", "rondom"), "got 'rondom'. Did you mean 'random'?"),
        (("--methods", "optunagp"), "Did you mean 'optuna-gp'?"),
        (("--methods", "random,rf,random"), "must name a method once, got 'random' twice"),
        (("--methods", ","), "--methods: must name a method, got ','."),
        (("--seeds", "0"), "--seeds: must be at least 1, got 0."),
        (("--jobs", "0"), "--jobs: must be at least 1, got 0."),
        (("--seed", "-1"), "--seed: must be at least 0, got -1."),
        (("--initial", "0"), "--initial: must be at least 1, got 0."),
        (("--budget", "10"), "--budget: must be more than the 10 of --initial, got 10."),
        (("--budget", "81"), "--budget: must be at most the 80 rows of the table, got 81."),
        (("--initial", "80"), "--initial: must be fewer than the 80 rows of the table, got 80."),
        (("--plot", "a.pdf"), "--plot: must end in .png, .svg, .html, got 'a.pdf'."),
        (("--plot", "absent/a.png"), "--plot: must be a file in a folder that exists, got 'absent/a.png'."),
        (("--plot", "folder.png"), "--plot: must be a file, got the folder 'folder.png'. Name a file in it."),
        (("--plot", "t.csv/a.png"), "--plot: must be in a folder, got 't.csv/a.png' below a file."),
        (("--features", "deep"), "Did you mean 'depth'?"),
        (("--budget", "many"), "Invalid value for '--budget'"),
    ],
)
def test_refuses(capsys: pytest.CaptureFixture[str], folder: Path, words: tuple[str, ...], expected: str):
    (folder / "folder.png").mkdir()
    assert expected in refused(capsys, *WORDS, *words)


def test_refuses_tables_that_are_not_whole(capsys: pytest.CaptureFixture[str]):
    line = refused(capsys, "--table", "part.csv", "--objective", "loss")
    assert "needs a value of 'loss' in every row, got 1 rows without" in line
    assert "must be a file or one of nas_bench_bert, got 'absent.csv'" in refused(capsys, "--table", "absent.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_refuses_a_folder_that_cannot_be_written_to(capsys: pytest.CaptureFixture[str], folder: Path):
    (folder / "shut").mkdir(mode=0o500)
    assert "--plot: must be writable" in refused(capsys, *WORDS, "--plot", "shut/a.png")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_refuses_a_folder_in_which_nothing_can_be_made(capsys: pytest.CaptureFixture[str]):
    assert "--plot: must be writable, got '/proc/a.png' (/proc: " in refused(capsys, *WORDS, "--plot", "/proc/a.png")


def test_results_are_shown_though_the_picture_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path
):
    pytest.importorskip("matplotlib")

    def finish(*arguments: object) -> list[Run | Failure]:
        (folder / "late").rmdir()
        return [run_of("random", 0, *[1.0] * 30)]

    (folder / "late").mkdir()
    monkeypatch.setattr("boshnas.bench.command.run_tasks", finish)
    words = ("--methods", "random", "--seeds", "1", "--budget", "30", "--plot", "late/a.png")
    assert main([*WORDS, *words, "--json"]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["methods"]["random"]["regret"]["30"] == 1.0
    assert captured.err.endswith("Run it again with another file.\n")
    assert "--plot: 'late/a.png' could not be written (No such file or directory)" in captured.err


def test_an_interrupted_comparison_shows_the_finished_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path
):
    pytest.importorskip("matplotlib")

    def interrupted(*arguments: object) -> Iterator[Run | Failure]:
        yield run_of("random", 0, *[1.0] * 30)
        yield run_of("rf", 0, *[2.0] * 30)
        yield run_of("random", 1, *[0.0] * 30)
        raise KeyboardInterrupt

    monkeypatch.setattr("boshnas.bench.command.run_tasks", interrupted)
    words = ("--methods", "random,rf", "--seeds", "4", "--budget", "30", "--plot", "a.svg", "--json")
    assert main([*WORDS, *words]) == 130
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert (summary["num_runs"], summary["num_finished"]) == (8, 3)
    assert summary["methods"]["random"]["regret"]["30"] == 0.5
    assert "Interrupted: 3 of 8 runs are finished: random 2, rf 1." in captured.err
    assert "mean of the finished runs" in captured.err
    assert captured.err.endswith("interrupted\n")
    assert (folder / "a.svg").exists()


def test_an_interrupt_before_any_run_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def interrupted(*arguments: object) -> list[Run | Failure]:
        raise KeyboardInterrupt

    monkeypatch.setattr("boshnas.bench.command.run_tasks", interrupted)
    assert main([*WORDS, "--methods", "random", "--budget", "30"]) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Interrupted: 0 of 10 runs are finished." in captured.err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_worker_that_starts_takes_no_interrupt():
    seen: list[str] = []

    def look(num: int) -> None:
        (process,) = multiprocessing.active_children()
        seen.append(Path(f"/proc/{process.pid}/status").read_text())

    list(run_tasks(table(), PLAN, [Task(method="random", seed=0)], 1, look))
    (blocked,) = (line.split()[1] for line in seen[0].splitlines() if line.startswith("SigBlk:"))
    assert int(blocked, 16) >> (signal.SIGINT - 1) & 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize("package", ["botorch", "matplotlib"])
def test_a_package_that_is_absent_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, package: str
):
    monkeypatch.setattr(methods, "find_spec", lambda name: None)
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    words = ("--methods", "botorch") if package == "botorch" else ("--plot", "a.png")
    assert f"must have the package {package}, which is not installed. Run: pip install" in refused(
        capsys, *WORDS, *words
    )


def test_a_failing_method_stops_none_of_the_others(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object) -> list[Run | Failure]:
        good = [run_of("random", seed, *[1.0] * 30) for seed in (0, 1)]
        return [run_of("rf", 0, *[1.0] * 30), *good, Failure(task=Task(method="rf", seed=1), reason="Odd: no")]

    monkeypatch.setattr("boshnas.bench.command.run_tasks", fail)
    assert main([*WORDS, "--methods", "random,rf", "--seeds", "2", "--budget", "30", "--json"]) == 1
    captured = capsys.readouterr()
    assert "rf, seed 1: failed, so its other seeds are left out: Odd: no" in captured.err
    assert set(json.loads(captured.out)["methods"]) == {"random"}


def test_workers_say_why_a_task_failed_and_skip_its_method():
    tasks = [Task(method=name, seed=seed) for seed in (0, 1) for name in ("nothing", "random")]
    outcomes = list(run_tasks(table(), PLAN, tasks, 1))
    assert [outcome.task for outcome in outcomes] == [tasks[0], tasks[1], tasks[3]]
    assert outcomes[0] == Failure(task=tasks[0], reason="KeyError: 'nothing'")


def test_a_worker_that_dies_is_a_failure_and_is_replaced():
    tasks = [Task(method="ensemble", seed=0), Task(method="random", seed=0)]
    reported: list[int] = []

    def kill_first(num: int) -> None:
        if not reported:
            (process,) = multiprocessing.active_children()
            os.kill(process.pid or 0, signal.SIGKILL)
        reported.append(num)

    failure, run = run_tasks(table(), PLAN, tasks, 1, kill_first)
    assert failure == Failure(task=tasks[0], reason="its process ended with code -9")
    assert isinstance(run, Run)
    assert not multiprocessing.active_children()


def test_leaving_early_ends_the_workers():
    tasks = [Task(method="random", seed=seed) for seed in range(3)]
    outcomes = run_tasks(table(), PLAN, tasks, 1)
    assert isinstance(next(outcomes), Run)
    assert multiprocessing.active_children()
    outcomes.close()  # type: ignore[attr-defined]
    assert not multiprocessing.active_children()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_command_leaves_no_worker(number: signal.Signals, code: int):
    words = [sys.executable, "-m", "boshnas.bench", *WORDS, "--methods", "ensemble", "--seeds", "50", "--jobs", "2"]
    process = subprocess.Popen(
        [*words, "--budget", "80"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    assert process.stderr is not None
    wait_for(lambda: len(children(process.pid)) >= 3)  # two workers and the tracker of resources
    time.sleep(5)
    workers = children(process.pid)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    wait_for(lambda: not any(is_alive(pid) for pid in workers))


def wait_for(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".html"])
def test_plots_are_files_of_their_kind(folder: Path, suffix: str):
    pytest.importorskip("matplotlib")
    plan = Plan(initial=2, budget=5)
    runs = [run_of("random", seed, 50.0, 20.0, 9.0, 4.0, 0.0) for seed in (0, 1)]
    runs += [run_of("tpe", 0, 50.0, 50.0, 2.0, 2.0, 1.0)]
    path = folder / f"a{suffix}"
    plot.check(path)
    plot.save(path, "A <title>", "loss", report.results(runs, plan))
    data = path.read_bytes()
    assert data.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".html": b"<!doctype html>"}[suffix])
    if suffix == ".html":
        assert b"<title>A &lt;title&gt;</title>" in data
        assert data.rstrip().endswith(b"</svg>")


@pytest.mark.parametrize("regret", [(0.0, 0.0), (2.0, 1.0), (1000.0, 1e-6)])
def test_any_regret_can_be_drawn(folder: Path, regret: tuple[float, float]):
    pytest.importorskip("matplotlib")
    plot.save(folder / "a.svg", "title", "loss", report.results([run_of("rf", 0, *regret)], Plan(initial=1, budget=2)))
    assert (folder / "a.svg").read_bytes().startswith(b"<?xml")


def test_help_is_instant_and_names_every_method():
    code = (
        "import sys\nfrom boshnas.bench.__main__ import main\nassert main(['--help']) == 0\n"
        "assert not {'torch', 'sklearn', 'optuna', 'matplotlib'} & set(sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert all(name in out for name in METHODS)


def test_unknown_names_are_refused_in_python_too():
    with pytest.raises(InputError, match="must be of boshnas"):
        methods.parse("bosh")
