import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from simulate_fakes import campaign

from boshnas.simulate import command
from boshnas.simulate.__main__ import main
from boshnas.simulate.report import _FIRST_HEADS, _LAST_HEADS, figures, shown

rng = np.random.default_rng(0)
WIDTH, DEPTH = rng.integers(1, 30, 60), rng.integers(1, 5, 60)
LOSS = 100.0 + (WIDTH - 17) ** 2 + 3 * DEPTH + np.arange(60) / 1000
FRAME = pd.DataFrame({"width": WIDTH, "depth": DEPTH, "seconds": 60.0 * WIDTH, "loss": LOSS})
WORDS = ("--table", "t.csv", "--objective", "loss", "--minimize", "--methods", "random")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: with a whole table, one that is partly measured, and one that is not."""
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("t.csv", index=False)
    FRAME.assign(loss=[*LOSS[:-5], *[None] * 5]).to_csv("part.csv", index=False)
    FRAME.assign(loss=None, seconds=[None, *[1.0] * 59]).to_csv("open.csv", index=False)
    return tmp_path


def simulated(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*WORDS, "--json", *words]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    found: dict[str, Any] = json.loads(printed)
    return found


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a command that ends with exit code 2 and says nothing else."""
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


def test_asynchronous_search_stands_beside_batches(capsys: pytest.CaptureFixture[str]):
    found = simulated(capsys, "--budget", "40", "--workers", "4", "--seeds", "3", "--gpus-per-worker", "2")
    assert (found["table"], found["objective"], found["workers"], found["budget"]) == ("t.csv", "loss", 4, 40)
    assert (found["num_campaigns"], found["num_finished"]) == (6, 6)
    apart, batches = found["results"]
    assert [(one["method"], one["synchronous"]) for one in (apart, batches)] == [("random", False), ("random", True)]
    assert apart["busy"] == {"mean": 1.0, "sd": 0.0}
    assert batches["busy"]["mean"] < 0.8
    assert batches["hours"]["mean"] > apart["hours"]["mean"]
    for one in (apart, batches):
        assert one["evaluations"] == {"mean": 40.0, "sd": 0.0}
        assert one["gpu_hours_held"]["mean"] == pytest.approx(2 * 4 * one["hours"]["mean"])
        assert one["gpu_hours"]["mean"] == pytest.approx(
            one["busy_whole"]["mean"] * one["gpu_hours_held"]["mean"], rel=0.1
        )
        after = [one["regret_after"][share]["mean"] for share in ("25", "50", "100")]
        assert after == sorted(after, reverse=True)
        assert after[-1] == pytest.approx(one["best"]["mean"] - LOSS.min())
    assert apart["gpu_hours"]["mean"] == pytest.approx(batches["gpu_hours"]["mean"])  # random: the same rows


def test_the_same_seed_prints_the_same(capsys: pytest.CaptureFixture[str]):
    words = ("--methods", "gp,random", "--budget", "14", "--seeds", "1", "--crash-rate", "0.2", "--preempt-rate", "0.4")
    assert simulated(capsys, *words) == simulated(capsys, *words)
    assert simulated(capsys, *words) != simulated(capsys, *words, "--seed", "1")


@pytest.mark.parametrize(("word", "kinds"), [("yes", [True]), ("no", [False])])
def test_one_kind_of_loop_may_be_asked_for(capsys: pytest.CaptureFixture[str], word: str, kinds: list[bool]):
    found = simulated(capsys, "--budget", "6", "--seeds", "1", "--synchronous", word)
    assert [one["synchronous"] for one in found["results"]] == kinds
    assert found["results"][0]["hours"]["sd"] is None


def test_a_column_of_durations_is_no_feature(capsys: pytest.CaptureFixture[str]):
    words = [*WORDS, "--durations", "column:seconds", "--budget", "60", "--workers", "1", "--seeds", "1"]
    assert main([*words, "--synchronous", "no", "--json"]) == 0
    captured = capsys.readouterr()
    assert "2 features" in captured.err
    (found,) = json.loads(captured.out)["results"]
    assert found["hours"]["mean"] == pytest.approx(WIDTH.sum() / 60)


def test_proposals_that_take_time_leave_slots_idle(capsys: pytest.CaptureFixture[str]):
    words = ("--budget", "40", "--seeds", "1", "--synchronous", "no")
    quick = simulated(capsys, *words)["results"][0]
    slow = simulated(capsys, *words, "--proposal-seconds", "600")["results"][0]
    assert quick["busy"]["mean"] == 1.0
    assert slow["busy"]["mean"] < 0.9
    assert slow["hours"]["mean"] > quick["hours"]["mean"]


def test_faults_are_told_by_cause(capsys: pytest.CaptureFixture[str]):
    words = [*WORDS, "--budget", "40", "--seeds", "2", "--crash-rate", "0.5", "--hang-rate", "0.1"]
    assert main([*words, "--straggler-factor", "20"]) == 0
    lines = capsys.readouterr().out
    assert "random, asynchronous: failures a campaign: crashed " in lines
    assert "random, batches: retries a campaign: crashed " in lines
    assert "timed out" in lines


def test_hours_that_are_over_are_told(capsys: pytest.CaptureFixture[str]):
    found = simulated(capsys, "--durations", "constant", "--workers", "2", "--seeds", "1", "--max-hours", "1.2")
    assert [one["evaluations"]["mean"] for one in found["results"]] == [6.0, 6.0]
    assert found["results"][0]["stopped"] == ["--max-hours is over"]


def test_what_comes_to_nothing_is_told(capsys: pytest.CaptureFixture[str]):
    words = ("--table", "part.csv", "--objective", "loss", "--methods", "random", "--seeds", "1")
    assert main([*words, "--budget", "99", "--workers", "70", "--initial", "80"]) == 0
    captured = capsys.readouterr()
    assert "5 rows without a value of loss left out." in captured.err
    assert "--budget 99 is more than the 55 measured rows" in captured.err
    assert "--workers 70 is more than the budget (55): the others stay idle." in captured.err
    assert "--initial 80 takes the whole budget (55): all rows evaluated are random" in captured.err
    assert "regret" not in captured.out
    assert "best at 25 %" in captured.out


@pytest.mark.parametrize(("seeds", "words"), [("1", "1 seed"), ("2", "mean ± sd of 2 seeds")])
def test_a_spread_is_told_where_there_is_one(capsys: pytest.CaptureFixture[str], seeds: str, words: str):
    assert main([*WORDS, "--budget", "4", "--seeds", seeds]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(f", {words}")


@pytest.mark.parametrize("suffix", ["png", "html"])
def test_a_picture_is_drawn(folder: Path, capsys: pytest.CaptureFixture[str], suffix: str):
    pytest.importorskip("matplotlib")
    simulated(capsys, "--budget", "12", "--seeds", "2", "--plot", f"campaign.{suffix}")
    assert (folder / f"campaign.{suffix}").stat().st_size > 1000


def test_figures_of_a_campaign_count_its_gpus():
    assert figures(campaign([1, 2, 3], 2), 4) == {
        "hours": 4.0,
        "busy": 1.0,
        "busy_whole": 0.75,
        "gpu_hours": 24.0,
        "gpu_hours_held": 32.0,
        "evaluations": 3,
        "failed": 0,
        "retried": 0,
    }


def test_an_interrupt_shows_what_is_finished(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    real = command.simulate
    calls: list[None] = []

    def once(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(command, "simulate", once)
    assert main([*WORDS, "--budget", "5"]) == 130
    captured = capsys.readouterr()
    assert "Interrupted: 1 of 10 campaigns are finished." in captured.err
    assert "of the finished campaigns" in captured.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--workers", "0"), "--workers: must be at least 1, got 0."),
        (("--budget", "0"), "--budget: must be at least 1, got 0."),
        (("--seeds", "0"), "--seeds: must be at least 1, got 0."),
        (("--seed", "-1"), "--seed: must be at least 0, got -1."),
        (("--initial", "0"), "--initial: must be at least 1, got 0."),
        (("--gpus-per-worker", "-1"), "--gpus-per-worker: must be at least 0, got -1."),
        (("--synchronous", "maybe"), "--synchronous: must be one of both, yes, no, got 'maybe'."),
        (("--straggler-factor", "1"), "--straggler-factor: must be above 1, got 1."),
        (("--straggler-factor", "nan"), "--straggler-factor: must be above 1, got nan."),
        (("--max-hours", "0"), "--max-hours: must be above 0, got 0."),
        (("--proposal-seconds", "-1"), "--proposal-seconds: must be at least 0, got -1."),
        (("--durations", "normal:1"), "--durations: must be lognormal:SIGMA"),
        (("--durations", "lognormal:0"), "--durations: the sigma of lognormal must be above 0, got 0."),
        (("--durations", "column:hours"), "--durations: t.csv must have the column that is named, got 'hours'."),
        (("--durations", "column"), "--durations: column must name one"),
        (("--median-minutes", "0"), "--median-minutes: must be above 0, got 0."),
        (("--crash-rate", "2"), "--crash-rate: must be in [0, 1], got 2."),
        (("--preempt-rate", "1.01"), "--preempt-rate: must be in [0, 1], got 1.01."),
        (("--hang-hours", "0"), "--hang-hours: must be above 0, got 0."),
        (("--methods", "boshnes"), "--methods: must be of boshnas"),
        (("--objective", "los"), "Did you mean 'loss'?"),
        (("--table", "absent.csv"), "absent.csv"),
        (("--plot", "x.pdf"), "--plot: must end in .png"),
        (("--worker", "3"), "No such option: --worker"),
        (("--table", "open.csv"), "open.csv: a campaign needs rows with a value of 'loss', got none."),
        (("--durations", "column:seconds", "--table", "open.csv"), "got nothing in row 0."),
        (("--cost", "seconds", "--table", "open.csv"), "cost column 'seconds' must be > 0 and not empty"),
    ],
)
def test_bad_input_is_told_in_one_line(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str):
    assert expected.lower() in refused(capsys, *WORDS, *words).lower()


def test_help_shows_examples_without_waiting_for_torch(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    assert "boshnas simulate --table nas_bench_bert" in " ".join(capsys.readouterr().out.split())


def test_in_eighty_columns_the_first_of_the_results_are_whole():
    spread = {"mean": 123.456, "sd": 1.25}
    entry: dict[str, Any] = {name: spread for name in (*_FIRST_HEADS, *_LAST_HEADS)}
    entry |= {"method": "boshnas", "synchronous": False, "failures": {}, "retries": {}, "stopped": []}
    entry |= {kind: dict.fromkeys(("25", "50", "100"), spread) for kind in ("best_after", "regret_after")}
    stream = io.StringIO()
    Console(file=stream, width=80).print(shown([entry], 80))
    heads, cells = (line.split("  ") for line in stream.getvalue().splitlines())
    assert [head.strip() for head in heads if head.strip()] == [
        "method",
        "loop",
        "hours",
        "busy",
        "regret at 100 %",
        "…",
    ]
    assert "…" not in "".join(cells)
    assert [cell.strip() for cell in cells].count("123.5 ± 1.2") == 2
