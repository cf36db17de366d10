import io
import os
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from boshnas.job import Progress, job_folder
from boshnas.standing import Standing
from boshnas.trial import Attempt, Decision, Proposal, Status, Trial
from boshnas.view import LiveView, PlainView, QuietView, told
from boshnas.wording import attempt_failed, clock, described, outcome, stopping, stopping_at_once, waiting

NAME = "demo GLUE score"


def made(number: int = 0, **changes: object) -> Trial:
    trial = Trial(
        number=number,
        proposal=Proposal(id=f"arch{number}", decision=Decision.OPTIMISE),
        level=2,
        architecture={},
        parameters={},
        seed=0,
    )
    return replace(trial, **changes)  # type: ignore[arg-type]


def finished(number: int, score: float, **changes: object) -> Trial:
    seconds = {"pretrain": 60.0, "sst2": 5.0}
    return made(number, status=Status.FINISHED, score=score, stage_seconds=seconds, **changes)


BASELINE = Proposal(id="bert", decision=Decision.BASELINE)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The views' clock, which only tests turn."""
    reading = [1000.0]
    for module in ("view", "standing"):
        monkeypatch.setattr(f"boshnas.{module}.time", SimpleNamespace(monotonic=lambda: reading[0]))
    return reading


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (12.4, "12s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (185, "3m05s"),
        (3599.6, "1h00m"),
        (7620, "2h07m"),
        (90000, "25h00m"),
        (float("inf"), "?"),
        (float("nan"), "?"),
    ],
)
def test_clock(seconds: float, text: str):
    assert clock(seconds) == text


def test_described_names_level_reason_and_transfer():
    assert described(made()) == "level 2, optimise"
    assert described(made(parent_id="arch9")) == "level 2, optimise, weights of arch9"
    assert described(made(proposal=BASELINE, level=0)) == "baseline"


def test_outcome_is_the_score_or_the_first_line_of_the_reason():
    assert outcome(finished(0, 71.256), NAME, 65.0) == "demo GLUE score 71.26 in 1m05s"
    assert outcome(finished(0, 71.256), NAME) == "demo GLUE score 71.26"
    failed = made(status=Status.OUT_OF_MEMORY, error="MemoryError: too much.\nTraceback")
    assert outcome(failed, NAME, 65.0) == "failed (out of memory): MemoryError: too much"
    told = outcome(failed, NAME, log=Path("runs/a/log.txt"))
    assert told == "failed (out of memory): MemoryError: too much, log: runs/a/log.txt"


@pytest.mark.parametrize("error", [None, "", " \n", "."])
def test_an_error_without_words_is_told_as_such(error: str | None):
    failed = made(status=Status.KILLED, error=error)
    assert outcome(failed, NAME) == "failed (killed): no reason given"
    retried = made(attempts=(Attempt(status=Status.KILLED, error=error or ""),))
    assert attempt_failed(retried) == "tried again after attempt 1 (killed): no reason given"


def test_what_is_waited_for_ends_with_one_full_stop():
    assert waiting("the disk is full.") == "The search waits: the disk is full. Make room; it goes on by itself."


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([3], "1 evaluation (3) is ended. --resume goes on with it from"),
        ([3, 4], "2 evaluations (3, 4) are ended. --resume goes on with each from"),
        (list(range(9)), "9 evaluations are ended."),
    ],
)
def test_a_stop_at_once_names_what_it_ends(numbers: list[int], words: str):
    assert stopping_at_once(numbers).startswith(f"Stopping at once: {words}")


def test_plain_view_writes_one_line_a_start_and_an_end(now: list[float]):
    stream = io.StringIO()
    with PlainView(stream, Standing(3, NAME)) as view:
        view.started(made(0, parent_id="arch7"))
        view.tick({0: None})
        now[0] += 65
        view.ended(finished(0, 71.256))
        view.ended(made(1, status=Status.CRASHED, error="boom\nmore"))
    assert stream.getvalue().splitlines() == [
        "   0 arch0 started: level 2, optimise, weights of arch7",
        "   0 arch0 demo GLUE score 71.26 in 1m05s; "
        "1 of 3 evaluations, best demo GLUE score 71.26 (arch0), 1m05s gone, about 2m10s left",
        "   1 arch1 failed (crashed): boom; "
        "2 of 3 evaluations, best demo GLUE score 71.26 (arch0), 1m05s gone, about 1m05s left",
    ]


def test_plain_view_tells_no_time_left_once_it_stops(now: list[float]):
    stream = io.StringIO()
    view = PlainView(stream, Standing(3, NAME))
    view.started(made(0))
    view.stops(1)
    view.ended(finished(0, 71.256))
    assert stream.getvalue().endswith("0s gone\n")


def test_plain_view_keeps_baselines_and_worse_ones_out_of_the_best(now: list[float]):
    stream = io.StringIO()
    view = PlainView(stream, Standing(3, NAME))
    view.ended(finished(0, 99.0, proposal=BASELINE))
    view.ended(finished(1, 50.0))
    view.ended(finished(2, 40.0))
    first, *others = stream.getvalue().splitlines()
    assert "no score yet" in first
    assert all("best demo GLUE score 50.00 (arch1)" in line for line in others)


def in_job_folder(run: Path, number: int, name: str, content: str, at_s: float) -> None:
    path = job_folder(run, number) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (at_s, at_s))


@pytest.mark.parametrize("is_live", [False, True])
def test_an_evaluator_that_tells_no_stages_took_from_its_begin_to_its_result(
    now: list[float], tmp_path: Path, is_live: bool
):
    stream = io.StringIO()
    in_job_folder(tmp_path, 0, "started", "", 5000.0)
    in_job_folder(tmp_path, 0, "result.json", "{}", 5185.0)
    standing = Standing(3, NAME, folder=tmp_path)
    console = Console(file=stream, force_terminal=True, width=200, no_color=True)
    view = LiveView(console, standing) if is_live else PlainView(stream, standing)
    view.started(made(0))
    view.ended(replace(finished(0, 50.0), stage_seconds={}))
    view.started(made(1))
    view.ended(replace(finished(1, 50.0), stage_seconds={}))
    first, second = (line for line in stream.getvalue().splitlines() if "demo GLUE score 50.00" in line[:40])
    assert "arch0 demo GLUE score 50.00 in 3m05s" in first
    assert " in " not in second


@pytest.mark.parametrize("is_live", [False, True])
def test_a_failure_tells_where_its_log_is_if_it_has_one(now: list[float], tmp_path: Path, is_live: bool):
    stream = io.StringIO()
    in_job_folder(tmp_path, 0, "log.txt", "KeyError: 'x'\n", 0.0)
    in_job_folder(tmp_path, 1, "log.txt", "", 0.0)
    standing = Standing(3, NAME, folder=tmp_path)
    console = Console(file=stream, force_terminal=True, width=400, no_color=True)
    view = LiveView(console, standing) if is_live else PlainView(stream, standing)
    error = "KeyError: 'x' (return code 1)"
    view.retried(made(0, attempts=(Attempt(status=Status.CRASHED, error=error),)))
    view.ended(made(0, status=Status.CRASHED, error=error))
    view.ended(made(1, status=Status.CRASHED, error="The worker ended with return code 1."))
    again, failed, silent = stream.getvalue().splitlines()
    log = f"{error}, log: {tmp_path}/jobs/00000/log.txt"
    assert f"tried again after attempt 1 (crashed): {log}" in again
    assert f"failed (crashed): {log}" in failed
    assert "failed (crashed): The worker ended with return code 1" in silent
    assert not re.search(r"log:|\.;|\.\.|None", silent)


def test_plain_view_tells_the_details_where_they_are_asked_for(now: list[float]):
    stream = io.StringIO()
    view = PlainView(stream, Standing(3, NAME, folder=Path("runs/a")), is_verbose=True)
    proposal = Proposal(id="arch0", decision=Decision.OPTIMISE, mean=71.256, epistemic_std=1.5, aleatoric_std=0.25)
    view.started(made(0, proposal=proposal))
    error = "Killed.\n" + "\n".join(f"  line {number}" for number in range(9)) + "\n\x1b[31mred\n"
    view.retried(made(0, attempts=(Attempt(status=Status.KILLED, error=error),)))
    view.ended(made(0, status=Status.CRASHED, error="boom"))
    view.stops(2)
    lines = stream.getvalue().splitlines()
    assert lines[1] == "     foreseen 71.26 ± 1.50 epistemic ± 0.2500 aleatoric; its log and files: runs/a/jobs/00000"
    assert lines[2] == "   0 arch0 tried again after attempt 1 (killed): Killed"
    assert lines[3:8] == [*(f"       line {number}" for number in range(5, 9)), "     \\x1b[31mred"]
    assert lines[8].startswith("   0 arch0 failed (crashed): boom;")
    assert lines[9] == stopping(2)


def test_quiet_view_says_what_a_person_must_know(now: list[float]):
    stream = io.StringIO()
    with QuietView(stream) as view:
        view.started(made())
        view.ended(finished(0, 1.0))
        view.retried(made())
        view.tick({})
        view.waits("disk full")
        view.stops(1)
        view.stops_at_once([0])
    assert stream.getvalue().splitlines() == [waiting("disk full"), stopping(1), stopping_at_once([0])]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_what_takes_long_is_told_once(is_terminal: bool):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=is_terminal, width=80)
    with told("exporting to [x]", console):
        pass
    assert "xporting to [x]" in stream.getvalue()
    assert stream.getvalue().endswith("\n") or is_terminal


def drawn(view: LiveView, stream: io.StringIO, now: list[float]) -> str:
    """A whole life of a live view."""
    with view:
        view.tick({})
        view.started(made(0, parent_id="0123456789abcdef"))
        view.started(made(1, proposal=BASELINE, level=0))
        for step in (
            None,
            Progress(stage="pretrain", step=0, num_steps=0),
            Progress(stage="sst2", step=3, num_steps=4),
            Progress(stage="train[/fold1]", step=1, num_steps=4),
        ):
            now[0] += 1
            view.tick({0: step, 1: None})
        view.ended(finished(0, 71.256))
        view.ended(made(1, proposal=BASELINE, level=0, status=Status.CRASHED, error="KeyError: [/red] [bold"))
        now[0] += 1
        view.tick({})
    return stream.getvalue()


def frames(text: str) -> str:
    """What was drawn, without what steers the terminal."""
    return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", text)


@pytest.mark.parametrize("width", [1, 5, 20, 40, 80, 200])
def test_live_view_draws_at_any_width(now: list[float], width: int):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width)
    text = frames(drawn(LiveView(console, Standing(3, NAME)), stream, now))
    assert max(len(line) for part in text.splitlines() for line in part.split("\r")) <= width
    assert "71.26" in text or width < 20


def test_live_view_says_what_runs_and_how_it_ended(now: list[float]):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=200, no_color=True)
    text = " ".join(frames(drawn(LiveView(console, Standing(3, NAME)), stream, now)).split())
    for words in (
        "0 of 3 evaluations, 1s gone",
        "no score yet",
        "level 2, optimise, weights of 0123456789abcdef",
        "starting",
        "sst2 3/4 75 %",
        "train[/fold1] 1/4 25 %",
        "arch0 demo GLUE score 71.26 in 1m05s",
        "bert failed (crashed): KeyError: [/red] [bold · baseline",
        "67 % 2 of 3 evaluations, 1 failed, 5s gone, about 34s left best demo GLUE score 71.26 (arch0)",
    ):
        assert words in text


def test_live_view_in_twenty_columns_keeps_the_numbers(now: list[float]):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=20, no_color=True)
    with LiveView(console, Standing(3, NAME, [finished(0, 71.256)])) as view:
        view.started(made(1))
        view.tick({1: Progress(stage="pretrain", step=1, num_steps=4)})
        view.stops(1)
        view.tick({1: Progress(stage="pretrain", step=3, num_steps=4)})
        lines = [line.rstrip() for line in frames(stream.getvalue()).splitlines()]
    assert "33 %" in lines[0]
    assert lines[1:3] == ["1 of 3, 2m10s left", "best 71.26 (arch0)"]
    assert any(line.split() == ["1", "pretrain", "25", "%"] for line in lines)
    assert "1 of 3" in lines, "not all will be evaluated once it stops"
    assert "Stopping: nothing" in lines


def test_live_view_says_in_place_of_its_table_what_it_ends(now: list[float]):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=200, no_color=True)
    with LiveView(console, Standing(3, NAME)) as view:
        view.started(made(1))
        view.stops(1)
        view.tick({1: None})
        stream.seek(stream.truncate(0))
        view.stops_at_once([1])
    assert frames(stream.getvalue()).strip().endswith(stopping_at_once([1]))


def test_live_view_follows_a_resize(now: list[float]):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=200, no_color=True)
    with LiveView(console, Standing(3, NAME, [finished(0, 71.256)])) as view:
        view.started(made(1))
        view.tick({1: None})
        assert "level 2, optimise" in stream.getvalue()
        console.width = 20
        stream.truncate(0)
        now[0] += 1
        view.tick({1: None})
    assert "level 2" not in stream.getvalue()
    assert "starting" in stream.getvalue()


def test_live_view_tells_how_well_the_surrogate_foresaw_the_scores(now: list[float]):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, no_color=True)
    scores, means = (50.0, 60.0, 70.0, 80.0, 90.0), (1.0, 2.0, 4.0, 3.0, 5.0)
    trials = [
        finished(number, score, proposal=Proposal(id=f"a{number}", decision=Decision.OPTIMISE, mean=mean))
        for number, (score, mean) in enumerate(zip(scores, means, strict=True))
    ]
    with LiveView(console, Standing(8, NAME, trials[:4])) as view:
        view.tick({})
        assert "rank correlation" not in stream.getvalue()
        view.ended(trials[4])
        now[0] += 1
        view.tick({})
    assert "surrogate: rank correlation 0.90 over 5 predictions" in stream.getvalue()


def test_live_view_redraws_at_most_twice_a_second(now: list[float]):
    stream = io.StringIO()
    with LiveView(Console(file=stream, force_terminal=True, width=80), Standing(3, NAME)) as view:
        view.tick({})
        before = stream.getvalue()
        now[0] += 0.3
        view.tick({})
        assert stream.getvalue() == before
        now[0] += 0.3
        view.tick({})
        assert stream.getvalue() != before
