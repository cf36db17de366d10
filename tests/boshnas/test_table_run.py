import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from boshnas.baselines import RandomSearcher
from boshnas.export.__main__ import main as export_main
from boshnas.list import main as list_main
from boshnas.replay import random_search, replay
from boshnas.report import figures
from boshnas.run import main
from boshnas.saved_run import Run
from boshnas.searcher import Searcher
from boshnas.show import main as show_main
from boshnas.store import Store, UnavailableError
from boshnas.store.choices import Range
from boshnas.table import Table
from boshnas.table_run import kept, new_store
from boshnas.trial import Decision

FRAME = pd.DataFrame(
    {
        "op": ["conv", "skip", "conv", None, "conv", "skip"] * 4,
        "width": [1, 2, 3, 1, 2, 1] * 4,
        "lr": [0.1, 0.2, None, 0.25, 0.15, 3] * 4,
        "loss": [0.5 + number / 100 for number in range(24)],
        "params": range(100, 124),
    }
)
OPTIONS = {"table": "t.csv", "seed": 4, "surrogate": "random"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: with a table."""
    monkeypatch.chdir(tmp_path)
    FRAME.to_csv("t.csv", index=False)
    return tmp_path


def search(*words: str) -> int:
    known = ("--table", "t.csv", "--objective", "loss", "--minimize", "--ignore", "params", "--surrogate", "gp")
    return main([*known, "--initial", "5", *words])


def made(folder: Path, table: Table, budget: int) -> Run:
    """A random search that was kept."""
    folder.mkdir()
    with new_store(folder, table, OPTIONS, budget) as store:
        assert store.choices["width"] == Range(low=1, high=3, is_whole=True)
        assert len(list(kept(replay(table, RandomSearcher(table.pool), budget), table, store, 4))) == budget
    return Run.open(folder)


def test_a_kept_search_is_a_run(tmp_path: Path):
    table = Table(FRAME, objective="loss", minimize=True, features=["op", "width", "lr"])
    run = made(tmp_path / "run", table, 24)
    assert [trial.score for trial in run.trials] == [table.values[trial.id] for trial in run.trials]
    assert (run.objective.direction, run.score_name) == ("minimize", "loss")
    assert run.best is not None
    assert (run.best.id, run.best.score, run.best.params) == ("0", 0.5, 100)
    for trial in run.trials:
        row = table.row(trial.id)
        told = {name: row[name] for name in ("op", "width", "lr") if row[name] is not None}
        assert (trial.architecture, trial.parameters, trial.seed) == (row, told, 4)
    kinds = {type(value) for trial in run.trials for value in trial.parameters.values()}
    assert kinds == {str, int, float}


def test_optuna_reads_numbers_as_numbers(tmp_path: Path):
    made(tmp_path / "run", Table(FRAME, objective="loss", minimize=True, features=["op", "width", "lr"]), 5)
    study = optuna.load_study(study_name="boshnas", storage=f"sqlite:///{tmp_path}/run/store.db")
    kinds = {name: type(kind).__name__ for trial in study.trials for name, kind in trial.distributions.items()}
    expected = {"op": "CategoricalDistribution", "width": "IntDistribution", "lr": "FloatDistribution"}
    assert kinds == expected
    assert study.direction is optuna.study.StudyDirection.MINIMIZE


def test_out_keeps_the_search_with_its_report(place: Path, capsys: pytest.CaptureFixture[str]):
    assert search("--budget", "20", "--out", "runs/mine", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["report"] == "runs/mine/report.html"
    run = Run.open("runs/mine")
    assert run.best is not None
    assert run.best.id == said["best"]["id"]
    assert [trial.id for trial in run.trials] == [step["id"] for step in said["history"]]
    assert {trial.proposal.decision for trial in run.trials} >= {Decision.RANDOM, Decision.OPTIMISE}
    foreseen = [trial.proposal.mean for trial in run.trials if trial.proposal.mean is not None]
    assert foreseen
    assert all(0.3 < mean < 0.9 for mean in foreseen)  # in the objective's own direction
    page = Path(said["report"]).read_text("utf-8")
    assert "Make a model of it" not in page
    assert "Random search of the same table finds" in page
    for absent in (">level<", ">parent<", "Time and failures", "task by task", "weights from"):
        assert absent not in page
    assert "0.5000" in page
    assert not (place / "runs" / "mine" / ".held").exists()


def test_a_search_without_out_leaves_nothing(place: Path, capsys: pytest.CaptureFixture[str]):
    assert search("--budget", "6", "--json") == 0
    assert json.loads(capsys.readouterr().out)["report"] is None
    assert [path.name for path in place.iterdir()] == ["t.csv"]


def test_a_column_may_be_whole_within_the_limits_alone(place: Path):
    cells = ((1, 10, 0.5), (2, 20, 0.4), (4, 30, 0.6), (1.5, 90, 0.1))
    rows = [f"{width},{params},{loss}" for width, params, loss in cells]
    (place / "c.csv").write_text("\n".join(["width,params,loss", *rows]) + "\n")
    words = ("--table", "c.csv", "--objective", "loss", "--constraint", "params<=50", "--out", "runs/mine")
    assert main([*words, "--surrogate", "random"]) == 0
    assert {trial.parameters["width"] for trial in Run.open("runs/mine").trials} == {1.0, 2.0, 4.0}


def cut_off(error: BaseException, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store fail once so many evaluations are in it."""
    finish = Store.finish

    def failing(store: Store, result: Any) -> Any:
        if result.number == after:
            raise error
        return finish(store, result)

    monkeypatch.setattr(Store, "finish", failing)


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (UnavailableError("store.db: gone."), 1)])
def test_what_a_cut_off_search_found_is_kept_and_told(
    error: BaseException, code: int, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    cut_off(error, 7, monkeypatch)
    assert search("--budget", "20", "--out", "runs/mine", "--json") == code
    captured = capsys.readouterr()
    assert json.loads(captured.out)["num_evaluated"] == 7
    assert "Interrupted after 7 of 20 evaluations." in captured.err
    assert sum(trial.score is not None for trial in Run.open("runs/mine").trials) == 7
    assert Path("runs/mine/report.html").is_file()


def test_a_folder_in_which_nothing_was_begun_is_left_as_it_was(place: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Searcher, "propose", interrupt)
        assert search("--budget", "6", "--out", "runs/mine") == 130
    assert not Path("runs/mine").exists()
    assert search("--budget", "6", "--out", "runs/mine") == 0


def test_a_search_is_good_without_its_report(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def break_down(*arguments: Any) -> None:
        raise OverflowError("too large\nfor this")

    monkeypatch.setattr("boshnas.report.write.report_text", break_down)
    assert search("--budget", "6", "--out", "runs/mine", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["report"] is None
    assert "The report is not written: OverflowError: too large for this\n" in captured.err


def test_the_largest_numbers_are_reported(place: Path):
    frame = FRAME.assign(lr=[float(f"{number}e300") for number in range(1, 25)], params=2**70)
    frame.to_csv("large.csv", index=False)
    words = ("--table", "large.csv", "--objective", "loss", "--features", "op,width,lr", "--out", "runs/mine")
    assert main([*words, "--surrogate", "random"]) == 0
    assert Path("runs/mine/report.html").is_file()
    assert Run.open("runs/mine").to_pandas()["params"].isna().all()


def test_list_and_show_read_it(place: Path, capsys: pytest.CaptureFixture[str]):
    assert search("--budget", "8", "--out", "runs/mine") == 0
    capsys.readouterr()
    assert list_main([]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "mine" in line]
    assert "finished  8 of 8" in line
    assert "t.csv" in line
    assert show_main(["runs/mine"]) == 0
    assert "best: 0.5" in capsys.readouterr().out
    assert show_main(["runs/mine", "--number", "0"]) == 0
    shown = capsys.readouterr().out
    assert 'row: {"op": ' in shown
    assert "weights" not in shown
    assert "log" not in shown


def test_what_makes_no_sense_is_refused(place: Path, capsys: pytest.CaptureFixture[str]):
    assert search("--budget", "6", "--out", "runs/mine") == 0
    before = (place / "runs/mine/store.db").read_bytes()
    capsys.readouterr()
    tried: Sequence[tuple[Any, Sequence[str], str]] = (
        (search, ("--out", "runs/mine"), "--out: runs/mine exists."),
        (search, ("--out", "t.csv"), "--out: t.csv is a file."),
        (
            lambda *words: main(words),
            ("--table", "t.csv", "--objective", "loss", "--out", "new", "--suggest", "2"),
            "--out: must not be given with --suggest",
        ),
        (lambda *words: main(words), ("--resume", "--out", "runs/mine"), "must be of a search of a space"),
        (lambda *words: export_main(words), ("runs/mine", "--to", "model"), "has no model to export"),
    )
    for call, words, message in tried:
        assert call(*words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (place / "new").exists()
    assert (place / "runs/mine/store.db").read_bytes() == before


def test_the_figure_has_the_curve_of_random_search(tmp_path: Path):
    table = Table(FRAME, objective="loss", minimize=True, features=["op", "width", "lr"])
    figure = figures(made(tmp_path / "run", table, 12))["best_by_evaluations"]
    (mean,) = [trace for trace in figure.data if trace.name == "random search, mean"]
    assert list(mean.x) == list(range(12))
    assert list(mean.y) == random_search(table, 12).mean
    assert list(mean.y) == sorted(mean.y, reverse=True)
    (best,) = [trace for trace in figure.data if trace.name == "best so far"]
    assert list(best.y) == sorted(best.y, reverse=True)
