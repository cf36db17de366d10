import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from boshnas import calibration, forecast, space_command
from boshnas.campaign import Campaign, check, open_store
from boshnas.campaign_settings import CampaignSettings
from boshnas.interruption import Interruption
from boshnas.job import Result
from boshnas.loop import INTERRUPTED
from boshnas.run import main
from boshnas.store import STORE_FILE, Store, UnavailableError
from boshnas.trial import Decision, Proposal, Status, Trial


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, tiny_text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: with a space, a run, and a folder without tasks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(calibration, "LIMIT_S", 0.0)
    monkeypatch.setattr(forecast, "startup_seconds", lambda: 60.0)
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    (tmp_path / "no_tasks").mkdir()
    return tmp_path


@pytest.fixture
def begun(folder: Path) -> Path:
    """The folder of a run that has been begun with seed 4 and two tasks."""
    settings = CampaignSettings(space="tiny.yaml", tasks="sst2,cola", seed=4, budget=3, constraints=("layers<=4",))
    open_store(check(settings), folder / "begun", resume=False).close()
    return folder / "begun"


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on stderr of a command that ends with exit code 2 and says nothing else."""
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--bugdet", "3"), "No such option: --bugdet. Did you mean '--budget'? See --help."),
        (("--space", "tiny.yaml", "--budget", "many"), "Invalid value for '--budget': "),
        (("--space", "tiny.yaml", "more"), "unexpected extra argument"),
        (("--space",), "--space"),
        ((), "--space: must name a design space. Give flexibert_mini, or a YAML file."),
        (("--space", "flexibert_mni"), "Did you mean 'flexibert_mini'?"),
        (("--space", "flexibert_3"), "--space: must be one of flexibert_mini, "),
        (("--space", "flexibert_22"), "Did you mean 'flexibert_mini'?"),
        (("--space", "."), "or a YAML file, got '.'. Choose one of these, or check the path."),
        (("--space", "flexibert_2"), "has one operation a head"),
        (
            ("--space", "tiny.yaml", "--out", ""),
            "--out: must name a folder, got ''. Name one, or",
        ),
        (("--space", "absent.yaml"), "or a YAML file, got 'absent.yaml'"),
        (("--space", "tiny.yaml", "--budget", "0"), "--budget: must be at least 1, got 0."),
        (("--space", "tiny.yaml", "--seed", "-1"), "--seed: must be at least 0, got -1."),
        (
            ("--space", "tiny.yaml", "--surrogate", "gpp"),
            "--surrogate: must be one of boshnas, gp, random, got 'gpp'. Did you mean 'gp'?",
        ),
        (("--space", "tiny.yaml", "--tasks", "sst"), "Did you mean 'sst2'?"),
        (("--space", "tiny.yaml", "--data", "no_tasks"), "must hold a folder for at least one of cola, sst2"),
        (("--space", "tiny.yaml", "--data", "absent"), "got 'absent', which does not exist"),
        (("--space", "tiny.yaml", "--constraint", "params"), "must have the form 'params<=12e6'"),
        (("--space", "tiny.yaml", "--constraint", "params<=1"), "no architecture of level 1 is within the limits"),
        (("--space", "tiny.yaml", "--constraint", "layers<=4", "--constraint", "size<=4"), "quantity must be one of"),
        (("--space", "tiny.yaml", "--storage", "sqlite:///x.db"), "--storage: URL must begin with 'postgresql://'"),
        (("--space", "tiny.yaml", "--storage", "absent"), "--storage: absent must be a file that holds a URL"),
        (("--space", "tiny.yaml", "--storage", "tiny.yaml"), "--storage: URL must begin with 'postgresql://'"),
        (("--space", "tiny.yaml", "--storage", "postgresql://a:hidden@h/d"), "no password on the command line"),
        (("--space", "tiny.yaml", "--storage", "postgresql://a@127.0.0.1:1/d"), "must be a server that answers, got: "),
        (("--table", "t.csv", "--storage", "file"), "--storage: must go with --space, not with --table"),
        (("--resume",), "--resume: needs --out"),
        (("--resume", "--out", "absent"), "store must be a file, got nothing"),
        (("--resume", "--out", "no_tasks"), "store must be a file, got nothing"),
    ],
)
def test_bad_input_is_told_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str
):
    before = sorted(folder.rglob("*"))
    assert expected.lower() in refused(capsys, *words).lower()
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "number_of_feed-forward_stacks: [1, 2]",
            "number_of_feed-forward_stacks: [1]\n  hidden_sizes: [32]",
            "architecture.hidden_sizes: unknown key. Did you mean 'hidden_size'?",
        ),
        (
            "{sa: [sdp], l: [dft], c: [5]}",
            "{sa: [sdp], l: [dft]}",
            "operation_parameters must give parameters for 'c', got none",
        ),
        ("{sa: [sdp], l: [dft], c: [5]}", "{sa: [sdp], l: [dft], c: []}", "operation_parameters.c"),
        ("num_heads: [2]", "num_heads: [2, 3]", "hidden_size must be divisible by num_heads, got 32 and 3"),
        ("  hidden_size: [32, 64]\n", "", "architecture.hidden_size: is missing"),
        ("encoder_layers: [2, 4]", "encoder_layers: [3]", "layers_per_stack must divide every encoder_layers"),
        ("architecture:", "architecture: [", "must be YAML"),
    ],
)
def test_a_wrong_space_file_is_told_in_one_line(
    folder: Path, tiny_text: str, capsys: pytest.CaptureFixture[str], old: str, new: str, expected: str
):
    assert tiny_text.count(old) == 1
    (folder / "wrong.yaml").write_text(tiny_text.replace(old, new))
    line = refused(capsys, "--space", "wrong.yaml")
    assert line.startswith("wrong.yaml: ")
    assert expected in line


def test_an_existing_folder_is_told_in_one_line(begun: Path, capsys: pytest.CaptureFixture[str]):
    line = refused(capsys, "--space", "tiny.yaml", "--out", "begun")
    assert line.startswith("--out: begun exists. Give another folder, or --resume")


@pytest.mark.parametrize(
    ("words", "expected"),
    [(("--seed", "5"), "seed 4, got 5"), (("--constraint", "layers<=2"), "constraints ['layers <= 4'], got")],
)
def test_another_run_is_told_in_one_line(
    begun: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str
):
    assert expected in refused(capsys, "--resume", "--out", "begun", *words)


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("tiny.yaml", "--out: tiny.yaml is a file. Give a folder."),
        ("tiny.yaml/run", "--out: tiny.yaml/run must be a folder that can be written ("),
        ("/proc/run", "--out: /proc/run must be a folder that can be written (/proc: "),
    ],
)
def test_a_folder_that_cannot_be_made_is_told_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], out: str, expected: str, more: tuple[str, ...]
):
    before = sorted(folder.rglob("*"))
    assert refused(capsys, "--space", "tiny.yaml", "--out", out, *more).startswith(expected)
    assert sorted(folder.rglob("*")) == before


def test_a_dry_run_refuses_an_existing_folder(begun: Path, capsys: pytest.CaptureFixture[str]):
    line = refused(capsys, "--space", "tiny.yaml", "--out", "begun", "--dry-run")
    assert line.startswith("--out: begun exists. Give another folder, or --resume")


def test_the_databases_url_is_taken_out_of_the_environment_and_never_quoted(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BOSHNAS_STORAGE", "postgresql://a:hidden@127.0.0.1:1/d")
    line = refused(capsys, "--space", "tiny.yaml", "--out", "new")
    assert line.startswith("BOSHNAS_STORAGE: postgresql://127.0.0.1:1/d must be a server that answers, got: ")
    assert "hidden" not in line
    assert "BOSHNAS_STORAGE" not in os.environ
    assert not (folder / "new").exists()


def test_a_run_with_a_file_goes_on_though_the_variable_is_set_for_others(
    begun: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BOSHNAS_STORAGE", "postgresql://a:hidden@127.0.0.1:1/d")
    assert main(["--resume", "--out", str(begun), "--dry-run"]) == 0
    capsys.readouterr()
    line = refused(capsys, "--resume", "--out", str(begun), "--storage", "postgresql://a@127.0.0.1:1/d")
    assert "keeps its store in store.db. Leave the option out." in line


def test_help_tells_every_option(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for option in (
        "--space",
        "--budget",
        "--resume",
        "--constraint",
        "--dry-run",
        "--json",
        "--max-hours",
        "--storage",
    ):
        assert option in text
    assert "boshnas run --space flexibert_mini --data glue" in text


def test_a_dry_run_prints_the_plan_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]):
    before = sorted(folder.rglob("*"))
    words = [
        "--space",
        "tiny.yaml",
        "--budget",
        "12",
        "--dry-run",
        "--parallel",
        "3",
        "--out",
        "new",
        "--tasks",
        "sst2",
    ]
    assert main([*words, "--json"]) == 0
    captured = capsys.readouterr()
    plan: dict[str, Any] = json.loads(captured.out)
    assert captured.out.count("\n") == 1
    assert plan["space"] == "tiny"
    assert plan["levels"] == [
        {"level": 1, "size": 156, "budget": 6},
        {"level": 2, "size": 20880, "budget": 4},
        {"level": 3, "size": 20880, "budget": 2},
    ]
    assert (plan["initial"], plan["surrogate"], plan["baselines"], plan["parallel"]) == (4, "boshnas", [], 3)
    assert plan["worker"]["tasks"] == ["sst2"]
    assert plan["forecast"]["hours"] > 4 / 60  # 12 on 3 slots, which take a minute to start
    assert {"gpu_hours", "evaluation_minutes", "calibrated_on"} < set(plan["forecast"])
    assert "synthetic" in captured.err
    assert sorted(folder.rglob("*")) == before


def test_a_resumed_dry_run_keeps_the_runs_options_and_takes_the_given_ones(
    begun: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["--resume", "--out", "begun", "--budget", "6", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["space"] == "tiny"
    assert plan["worker"]["tasks"] == ["sst2", "cola"]
    assert [level["budget"] for level in plan["levels"]] == [3, 2, 1]


def test_a_run_can_be_resumed_from_another_folder(begun: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(begun.parent / "no_tasks")
    assert main(["--resume", "--out", str(begun), "--dry-run"]) == 0


# The end of a search, the search itself replaced


@dataclass
class FakeSearch:
    """Writes evaluations into the store instead of training; stands for `campaign.run` and `export.export`."""

    stopped: str | None = None
    scores: tuple[float | None, ...] = (51.0, 62.25, None)
    error: type[BaseException] | None = None
    exported: list[Path] = field(default_factory=list)

    def run(self, campaign: Campaign, store: Store, folder: Path, view: Any, interruption: Interruption) -> str | None:
        ids = campaign.source.open_level(1, {})
        for number, score in enumerate(self.scores):
            candidate = campaign.source.describe(ids[number])
            trial = Trial(
                number=number,
                proposal=Proposal(id=ids[number], decision=Decision.RANDOM),
                level=1,
                architecture=candidate.architecture,
                parameters=candidate.parameters,
                seed=0,
            )
            store.add(trial)
            view.started(trial)
            status = Status.CRASHED if score is None else Status.FINISHED
            tasks = {} if score is None else {"sst2": score}
            result = Result(number=number, id=trial.id, status=status, score=score, task_scores=tasks, error=None)
            view.ended(store.finish(result))
        if self.error is not None:
            raise self.error
        return self.stopped

    def export(self, request: Any) -> None:
        self.exported.append(request.target)
        request.target.mkdir()
        (request.target / "config.json").write_text("new")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSearch:
    search = FakeSearch()
    monkeypatch.setattr(space_command, "run", search.run)
    monkeypatch.setattr(space_command, "export", search.export)
    return search


URL = "postgresql://me:secret@nowhere:1/searches"


def opened_in_a_file(campaign: Campaign, folder: Path, resume: bool, database: Any, on_wait: Any) -> Store:
    """Stands for a database, which this needs none of."""
    return open_store(campaign, folder, resume, None, on_wait)


WORDS = ("--space", "tiny.yaml", "--tasks", "sst2", "--budget", "3", "--out", "new")


def test_the_last_line_is_the_summary(fake: FakeSearch, capsys: pytest.CaptureFixture[str]):
    assert main([*WORDS, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    summary = json.loads(captured.out)
    assert summary["best"]["score"] == 62.25
    assert summary["best"]["tasks"] == {"sst2": 62.25}
    assert summary["best"]["model_dict"]["l"] in (2, 4)
    assert summary["best"]["params"] > 0
    assert (summary["num_evaluated"], summary["num_failed"]) == (2, 1)
    assert summary["levels"][0] == {
        "level": 1,
        "size": 156,
        "num_evaluated": 2,
        "best": {"id": summary["best"]["id"], "score": 62.25},
    }
    assert [level["num_evaluated"] for level in summary["levels"]] == [2, 0, 0]
    assert (summary["export_dir"], summary["store"]) == ("new/best", f"new/{STORE_FILE}")
    assert fake.exported == [Path("new/best")]
    assert "failed (crashed)" in captured.err


def test_scores_on_the_demo_are_called_demo_in_the_table(fake: FakeSearch, capsys: pytest.CaptureFixture[str]):
    assert main(WORDS) == 0
    captured = capsys.readouterr()
    assert "Best by demo GLUE score" in captured.out
    assert "62.25" in captured.out
    assert "2 evaluated, 1 failed" in captured.out
    assert "synthetic" in captured.err


def test_ids_and_numbers_of_the_results_are_whole_in_a_narrow_terminal_and_all_is_told_elsewhere(
    fake: FakeSearch, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "40")
    assert main([*WORDS, "--json"]) == 0
    captured = capsys.readouterr()
    best = json.loads(captured.out)["best"]
    (line,) = [line for line in captured.err.splitlines() if line.startswith(f" {best['id']} ")]
    assert line.split() == [best["id"], "62.25", f"{best['params']:,}", "1", "random", "62.2"]
    console = Console(file=(stream := io.StringIO()), width=60)
    monkeypatch.setattr(space_command, "results_console", lambda as_json: console)
    fake.scores = ()
    assert main(["--resume", "--out", "new"]) == 0
    (line,) = [line for line in stream.getvalue().splitlines() if line.startswith(f" {best['id']} ")]
    assert line.split() == [best["id"], "62.25", f"{best['params']:,}", "1"]


def test_a_run_folder_is_named_after_space_and_time(fake: FakeSearch, folder: Path):
    assert main(WORDS[:-2]) == 0
    (made,) = (folder / "runs").iterdir()
    assert made.name.startswith("tiny-2")
    assert (made / STORE_FILE).is_file()


@pytest.mark.parametrize(
    ("stopped", "words", "expected"),
    [
        (None, (), 0),
        ("11 evaluations failed, more than --max-failures 10", (), 1),
        ("--max-hours is over", ("--max-hours", "1"), 0),
        ("11 evaluations failed, more than --max-failures 10", ("--max-hours", "1"), 1),
    ],
)
def test_the_exit_code_says_whether_the_plan_was_carried_out(
    fake: FakeSearch, capsys: pytest.CaptureFixture[str], stopped: str | None, words: tuple[str, ...], expected: int
):
    fake.stopped = stopped
    assert main([*WORDS, *words]) == expected
    said = capsys.readouterr().err
    assert (f"Stopped early: {stopped}. " in said) == (stopped is not None)
    assert ("boshnas run --resume --out new\n" in said) == (stopped == "--max-hours is over")


def test_too_many_failures_are_told_with_how_to_allow_more(fake: FakeSearch, capsys: pytest.CaptureFixture[str]):
    fake.stopped = "2 evaluations failed, more than --max-failures 1"
    fake.scores = (51.0, None, None)
    assert main([*WORDS, "--max-failures", "1", "--json"]) == 1
    captured = capsys.readouterr()
    way_on = "Mend what fails, then go on with: boshnas run --resume --out new --max-failures 12"
    assert f"Stopped early: {fake.stopped}. {way_on}\n" in captured.err
    summary = json.loads(captured.out)
    assert (summary["stopped"], summary["failures"]) == (fake.stopped, {"crashed": 2})


def test_the_summary_of_a_whole_search_has_its_budget_and_no_reason_to_stop(
    fake: FakeSearch, capsys: pytest.CaptureFixture[str]
):
    fake.scores = (51.0,)
    assert main([*WORDS, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["stopped"], summary["failures"], summary["budget"]) == (None, {}, 3)


def test_a_database_is_named_in_the_command_to_go_on_with_as_it_was_given(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(space_command, "run", interrupt)
    monkeypatch.setattr(space_command, "check_database", lambda database: None)
    monkeypatch.setattr(space_command, "open_store", opened_in_a_file)
    (folder / "my url").write_text(URL)
    (folder / "my url").chmod(0o600)
    assert main([*WORDS, "--storage", "my url"]) == 130
    said = capsys.readouterr().err
    assert "Go on with: boshnas run --resume --out new --storage 'my url'\n" in said
    monkeypatch.setenv("BOSHNAS_STORAGE", URL)
    assert main([*WORDS[:-1], "other"]) == 130
    assert "Go on with: boshnas run --resume --out other\n" in capsys.readouterr().err


def test_a_resumed_search_says_what_it_found(fake: FakeSearch, capsys: pytest.CaptureFixture[str]):
    assert main(WORDS) == 0
    assert "Resumed" not in capsys.readouterr().err
    fake.scores = ()
    assert main(["--resume", "--out", "new"]) == 0
    assert "Run: new\nResumed with 3 evaluations: 2 finished, 1 failed.\n" in capsys.readouterr().err


def test_nothing_finished_is_a_failure(fake: FakeSearch, capsys: pytest.CaptureFixture[str]):
    fake.scores = (None, None)
    assert main([*WORDS, "--json"]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["best"], summary["export_dir"], summary["num_failed"]) == (None, None, 2)
    assert fake.exported == []


def test_an_interrupted_search_says_how_to_go_on(fake: FakeSearch, capsys: pytest.CaptureFixture[str]):
    fake.error = KeyboardInterrupt
    assert main(WORDS) == 130
    assert "Saved. Go on with: boshnas run --resume --out new\ninterrupted\n" in capsys.readouterr().err


def test_a_search_that_stopped_as_asked_is_not_exported_and_says_how_to_go_on(
    fake: FakeSearch, capsys: pytest.CaptureFixture[str]
):
    fake.stopped = INTERRUPTED
    assert main([*WORDS[:-1], "a b"]) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("Saved. Go on with: boshnas run --resume --out 'a b'\ninterrupted\n")
    assert fake.exported == []


def test_an_interrupt_during_the_export_says_how_to_go_on(
    fake: FakeSearch, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def interrupt(request: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(space_command, "export", interrupt)
    assert main(WORDS) == 130
    assert "Saved. Go on with: boshnas run --resume --out new\n" in capsys.readouterr().err
    with Store.open(folder / "new" / STORE_FILE) as store:
        assert len(store.trials()) == 3


def test_the_run_and_its_export_are_told_where_they_are(fake: FakeSearch, capsys: pytest.CaptureFixture[str]):
    assert main(WORDS) == 0
    said = capsys.readouterr().err
    assert said.index("Run: new\n") < said.index("started") < said.index("Exporting the best to new/best.\n")


def test_quiet_says_the_result_alone(fake: FakeSearch, capsys: pytest.CaptureFixture[str]):
    assert main([*WORDS, "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "Best by demo GLUE score" in captured.out
    fake.scores = ()
    assert main(["--resume", "--out", "new", "--quiet", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 1


def test_quiet_still_says_what_is_wrong(fake: FakeSearch, capsys: pytest.CaptureFixture[str]):
    fake.stopped = "11 evaluations failed, more than --max-failures 10"
    assert main([*WORDS, "--quiet"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Stopped early: {fake.stopped}. ")


def test_verbose_says_where_each_evaluation_lies(fake: FakeSearch, capsys: pytest.CaptureFixture[str]):
    assert main([*WORDS, "--verbose"]) == 0
    assert "nothing was foreseen; its log and files: new/jobs/00001\n" in capsys.readouterr().err


def test_quiet_and_verbose_are_refused_together(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert refused(capsys, *WORDS, "--quiet", "--verbose").startswith("--quiet: must not be given with --verbose.")


def test_a_database_that_stays_away_is_told_with_how_to_go_on(
    fake: FakeSearch, folder: Path, capsys: pytest.CaptureFixture[str]
):
    fake.error = UnavailableError("new: store must come back within 3600 s, got: [away].")
    assert main(WORDS) == 1
    assert (
        "new: store must come back within 3600 s, got: [away]. Go on with: boshnas run --resume --out new\n"
        in capsys.readouterr().err
    )
    with Store.open(folder / "new" / STORE_FILE) as store:
        assert len(store.trials()) == 3


@pytest.mark.parametrize("identity", [{}, {"options": None}, {"options": {}}])
def test_a_store_of_another_kind_of_run_is_not_resumed(
    folder: Path, capsys: pytest.CaptureFixture[str], identity: dict[str, Any]
):
    Store.create(folder / "no_tasks" / STORE_FILE, identity, {}).close()
    line = refused(capsys, "--resume", "--out", "no_tasks")
    assert line == "--resume: no_tasks must be of a search of a space. Give another --out.\n"


def test_an_option_that_an_older_version_did_not_have_has_its_default(folder: Path, capsys: pytest.CaptureFixture[str]):
    options = {"space": "tiny.yaml", "budget": 3, "tasks": "sst2"}
    Store.create(folder / "no_tasks" / STORE_FILE, {"options": options}, {}).close()
    assert main(["--resume", "--out", "no_tasks", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["surrogate"], sum(level["budget"] for level in plan["levels"])) == ("boshnas", 3)


@pytest.mark.parametrize("leftover", [False, True])
def test_a_resumed_search_replaces_the_export(fake: FakeSearch, folder: Path, leftover: bool):
    assert main(WORDS) == 0
    (folder / "new" / "best" / "config.json").write_text("old")
    if leftover:  # of a search that was killed while it took the old export away
        (folder / "new" / ".best.before").mkdir()
        (folder / "new" / ".best.before" / "weights").write_text("older")
    fake.scores = ()
    assert main(["--resume", "--out", "new"]) == 0
    assert (folder / "new" / "best" / "config.json").read_text() == "new"
    assert not (folder / "new" / ".best.before").exists()


def test_an_export_that_fails_leaves_the_old_one(fake: FakeSearch, folder: Path, monkeypatch: pytest.MonkeyPatch):
    assert main(WORDS) == 0
    (folder / "new" / "best" / "config.json").write_text("old")
    fake.scores = ()

    def fail(request: Any) -> None:
        raise RuntimeError("the folder does not load")

    monkeypatch.setattr(space_command, "export", fail)
    with pytest.raises(RuntimeError, match="does not load"):
        main(["--resume", "--out", "new"])
    assert (folder / "new" / "best" / "config.json").read_text() == "old"
