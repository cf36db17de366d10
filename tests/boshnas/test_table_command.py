import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from boshnas.errors import InputError
from boshnas.run import main
from boshnas.searcher import Searcher
from boshnas.table import Table
from boshnas.table_command import TableOptions, new_searcher
from boshnas.trial import Proposal

ROWS = [
    "arch,op,width,lr,secs,s0,s1,params,acc",
    "a,conv,1,0.1,10,0.1,0.2,100,0.15",
    "b,skip,2,0.2,20,0.4,0.5,200,0.45",
    "c,conv,3,0.1,30,0.3,0.3,300,0.30",
    "d,none,1,0.2,10,0.8,0.6,400,0.70",
    "e,conv,2,0.1,20,0.2,0.2,500,0.20",
    "f,skip,1,0.3,15,0.9,0.8,600,0.85",
    "g,none,3,0.3,25,0.5,0.5,700,0.50",
    "h,skip,3,0.1,35,0.3,0.5,800,0.40",
]
WORDS = ("--table", "t.csv", "--objective", "acc", "--features", "op,width,lr", "--surrogate", "random")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: with a whole table, and one with the last three rows not measured."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("\n".join(ROWS) + "\n")
    part = [*ROWS[:-3], *(row.rsplit(",", 1)[0] + "," for row in ROWS[-3:])]
    (tmp_path / "part.csv").write_text("\n".join(part) + "\n")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    """The last line of a command with --json, and what it says on stderr."""
    assert main([*words, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    return json.loads(captured.out), captured.err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    *said, line = captured.err.splitlines()
    assert all(text.startswith(("t.csv: ", "part.csv: ", "  ")) or text.endswith(".") for text in said)
    return line


def test_a_search_ends_with_one_object(capsys: pytest.CaptureFixture[str]):
    summary, said = run(capsys, *WORDS, "--budget", "5", "--id", "arch")
    assert set(summary) == {"best", "regret", "num_evaluated", "history", "report"}
    values = {row.split(",")[0]: float(row.split(",")[-1]) for row in ROWS[1:]}
    assert [step["value"] for step in summary["history"]] == [values[step["id"]] for step in summary["history"]]
    assert summary["history"][-1]["best"] == summary["best"]["score"] == max(s["value"] for s in summary["history"])
    assert summary["best"]["row"]["arch"] == summary["best"]["id"]
    assert summary["regret"] == pytest.approx(0.85 - summary["best"]["score"])
    assert summary["num_evaluated"] == len(summary["history"]) == 5
    assert "op: categorical, 3 levels" in said
    assert "width: integer, 3 values" in said
    assert "lr: real, 3 values" in said


def test_less_may_be_better(capsys: pytest.CaptureFixture[str]):
    summary, _ = run(capsys, *WORDS, "--minimize")
    assert summary["best"]["score"] == 0.15
    assert summary["regret"] == 0
    assert summary["num_evaluated"] == 8


def test_a_person_sees_the_best_rows_and_how_far_the_search_is(capsys: pytest.CaptureFixture[str], folder: Path):
    assert main([*WORDS[:-2], "--surrogate", "gp", "--budget", "8", "--initial", "7", "--batch", "2"]) == 0
    captured = capsys.readouterr()
    assert "Best by acc" in captured.out
    assert "8 evaluated, regret 0" in captured.out
    assert "none" in captured.out
    assert main(["--table", "nas_bench_bert", "--surrogate", "random", "--budget", "20"]) == 0
    captured = capsys.readouterr()
    assert "10 of 20 evaluations, best glue " in captured.err


def test_a_budget_beyond_the_table_is_told(capsys: pytest.CaptureFixture[str]):
    summary, said = run(capsys, *WORDS, "--budget", "50")
    assert summary["num_evaluated"] == 8
    assert "--budget 50 is more than the 8 measured rows" in said


def test_one_is_told_as_one(capsys: pytest.CaptureFixture[str]):
    said = run(capsys, *WORDS, "--budget", "1", "--verbose")[1]
    assert "; 1 of 1 evaluation, best acc " in said


def test_unmeasured_rows_are_not_replayed_and_leave_the_regret_open(capsys: pytest.CaptureFixture[str]):
    summary, said = run(capsys, "--table", "part.csv", *WORDS[2:])
    assert summary["regret"] is None
    assert "3 rows without a value of acc left out: --suggest K proposes among such.\n" in said
    assert {int(step["id"]) for step in summary["history"]} == set(range(5))
    assert "3 of 8 rows have no value of acc" in said


def test_constraints_limit_the_candidates(capsys: pytest.CaptureFixture[str]):
    words = ("--constraint", "params<=500", "--constraint", "secs >= 20")
    summary, said = run(capsys, *WORDS, *words)
    assert {step["id"] for step in summary["history"]} == {"1", "2", "4"}
    assert "3 of 8 rows are within the constraints" in said
    assert "t.csv: 3 candidates" in said


def test_rows_beyond_the_constraints_teach_the_suggestions(capsys: pytest.CaptureFixture[str]):
    words = ("--table", "part.csv", "--objective", "acc", "--ignore", "arch,s0,s1", "--surrogate", "gp")
    assert main([*words, "--suggest", "3", "--constraint", "params>=700", "--cost", "secs"]) == 0
    captured = capsys.readouterr()
    assert "5 measured rows beyond the constraints: learned from, not proposed." in captured.err
    assert "  params: integer, 7 values" in captured.err
    title, head, *rows = captured.out.splitlines()
    assert head.split()[:10] == [
        "id",
        "why",
        "acc,",
        "predicted",
        "epistemic",
        "aleatoric",
        "secs",
        "op",
        "width",
        "lr",
    ]
    assert head.split()[-1] == "params"
    assert {row.split()[0] for row in rows} == {"6", "7"}


def test_a_constraint_that_is_no_feature_is_shown(capsys: pytest.CaptureFixture[str]):
    assert main([*WORDS, "--constraint", "params<=500", "--constraint", "width<=2"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["id", "acc", "params", "op", "width", "lr"]


def test_numbers_are_short_and_no_column_vanishes_in_a_pipe(capsys: pytest.CaptureFixture[str], folder: Path):
    names = [f"a_column_with_a_long_name_{letter}" for letter in "abcdefghij"]
    rows = [",".join([str(1 / (3 + row + place)) for place in range(10)]) for row in range(4)]
    lines = [",".join([*names, "size", "acc"]), *(f"{row},{110080 + place},{2 / 3}" for place, row in enumerate(rows))]
    (folder / "wide.csv").write_text("\n".join(lines))
    assert main(["--table", "wide.csv", "--objective", "acc", "--surrogate", "random"]) == 0
    _, head, *shown = capsys.readouterr().out.splitlines()
    assert head.split() == ["id", "acc", *names, "size"]
    cells = [cell for line in shown[:4] for cell in line.split()[1:]]
    assert "0.66667" in cells
    assert "110080" in cells
    assert all(len(cell.removeprefix("0.").lstrip("0")) <= 6 for cell in cells)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("--budget", "4", "--initial", "6"),
            "--initial 6 takes the whole budget (4): all rows evaluated are random.",
        ),
        (
            ("--budget", "4", "--initial", "2", "--batch", "9"),
            "--batch 9 is more than the budget (4): all evaluations are one batch.",
        ),
    ],
)
def test_options_that_come_to_nothing_are_told(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str
):
    assert expected in run(capsys, *WORDS[:-2], "--surrogate", "gp", *words)[1]


def test_an_objective_may_be_left_out_with_repeats(capsys: pytest.CaptureFixture[str]):
    words = ("--table", "t.csv", "--features", "op,width", "--surrogate", "random", "--repeats", "s0,s1")
    summary, _ = run(capsys, *words)
    assert summary["best"]["score"] == pytest.approx(0.85)
    assert main(words) == 0
    assert "Best by mean of s0, s1" in capsys.readouterr().out


def test_an_interrupted_search_shows_what_it_has(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    propose, asked = Searcher.propose, []

    def interrupt(self: Searcher, *arguments: Any) -> list[Proposal]:
        asked.append(arguments)
        if len(asked) > 3:
            raise KeyboardInterrupt
        return propose(self, *arguments)

    monkeypatch.setattr(Searcher, "propose", interrupt)
    assert main([*WORDS, "--json"]) == 130
    captured = capsys.readouterr()
    assert json.loads(captured.out)["num_evaluated"] == 3
    assert "Interrupted after 3 of 8 evaluations." in captured.err
    assert "Best by acc" in captured.err
    assert captured.err.endswith("interrupted\n")


def test_quiet_says_the_result_alone(capsys: pytest.CaptureFixture[str]):
    for words in (WORDS, ("--table", "part.csv", *WORDS[2:], "--suggest", "1")):
        _, said = run(capsys, *words, "--quiet")
        assert said == ""
        assert main([*words, "--quiet"]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        assert captured.out


def test_verbose_tells_each_evaluation(capsys: pytest.CaptureFixture[str]):
    summary, said = run(capsys, *WORDS, "--id", "arch", "--verbose")
    told = [line.partition(":")[0] for line in said.splitlines() if " of 8 evaluations, best acc" in line]
    assert told == [step["id"] for step in summary["history"]]
    assert "--quiet: must not be given with --verbose" in refused(capsys, *WORDS, "--quiet", "--verbose")


@pytest.mark.parametrize("noise", [("--repeats", "s0,s1"), ("--noise-std", "secs")])
def test_noise_reaches_the_search(capsys: pytest.CaptureFixture[str], noise: tuple[str, str]):
    words = ("--table", "t.csv", "--objective", "acc", "--ignore", "arch", "--surrogate", "gp", "--initial", "3")
    summary, said = run(capsys, *words, *noise, "--budget", "5")
    assert summary["num_evaluated"] == 5
    assert f"  {noise[1].split(',')[0]}:" not in said


def test_costs_are_handed_on_only_when_they_are_given(monkeypatch: pytest.MonkeyPatch):
    handed: list[dict[str, Any]] = []
    monkeypatch.setattr("boshnas.table_command.RandomSearcher", lambda pool, **settings: handed.append(settings))
    options = TableOptions(table="t.csv", surrogate="random")
    for cost in (None, "secs"):
        new_searcher(Table.read("t.csv", "acc", features=["op"], cost=cost), options)
    assert "costs" not in handed[0]
    assert handed[1]["costs"]["2"] == 30


@pytest.mark.skipif("costs" not in inspect.signature(Searcher).parameters, reason="the searcher takes no costs")
def test_a_search_minds_costs(capsys: pytest.CaptureFixture[str]):
    summary, said = run(capsys, *WORDS[:-2], "--surrogate", "gp", "--cost", "secs", "--initial", "3", "--budget", "6")
    assert summary["num_evaluated"] == 6
    assert "  secs:" not in said


@pytest.mark.parametrize("surrogate", ["gp", "npn", "boshnas"])
def test_suggestions_have_beliefs(capsys: pytest.CaptureFixture[str], surrogate: str):
    summary, _ = run(capsys, "--table", "part.csv", *WORDS[2:6], "--surrogate", surrogate, "--suggest", "2")
    (suggestions,) = summary.values()
    assert len(suggestions) == 2
    for suggestion in suggestions:
        assert set(suggestion) == {"id", "row", "mean", "epistemic_std", "aleatoric_std"}
        assert suggestion["id"] in ("5", "6", "7")
        assert suggestion["row"]["acc"] is None
        assert -1 < suggestion["mean"] < 2
        assert suggestion["epistemic_std"] >= 0


def test_a_person_sees_the_suggestions(capsys: pytest.CaptureFixture[str]):
    assert main(["--table", "part.csv", *WORDS[2:6], "--surrogate", "gp", "--suggest", "9", "--id", "arch"]) == 0
    captured = capsys.readouterr()
    assert "Measure next" in captured.out
    assert "acc, predicted" in captured.out
    assert "--suggest 9 is more than the 3 rows left" in captured.err


def test_suggestions_without_results_are_random_and_say_so(capsys: pytest.CaptureFixture[str], folder: Path):
    lines = [ROWS[0], ROWS[1], *(row.rsplit(",", 1)[0] + "," for row in ROWS[2:])]
    (folder / "new.csv").write_text("\n".join(lines))
    summary, said = run(capsys, "--table", "new.csv", "--objective", "acc", "--features", "op,width", "--suggest", "2")
    assert "Suggestions are random: learning needs two rows with a value, got 1." in said
    assert [suggestion["mean"] for suggestion in summary["suggestions"]] == [None, None]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--budget", "0"), "--budget: must be at least 1, got 0."),
        (("--batch", "0"), "--batch: must be at least 1, got 0."),
        (("--suggest", "0"), "--suggest: must be at least 1, got 0."),
        (("--initial", "-1"), "--initial: must be at least 0, got -1."),
        (("--seed", "-1"), "--seed: must be at least 0, got -1."),
        (("--suggest", "2", "--budget", "9"), "--budget: must not be given with --suggest"),
        (("--surrogate", "gpp"), "--surrogate: must be one of boshnas, gp, npn, random, got 'gpp'. Did you mean 'gp'?"),
        (("--suggest", "2"), "t.csv: suggestions need rows without a value of 'acc', got none."),
        (("--ignore", "arch"), "t.csv: features and ignore must not both be given."),
        (("--features", ","), "a list of columns must name one, got ','."),
        (("--objective", "acc_"), "objective must be a column of the table, got 'acc_'. Did you mean 'acc'?"),
        (("--features", "arch"), "feature 'arch' must have at most 256 levels and repeat some"),
        (("--space", "flexibert_mini"), "--space: must not be given with --table."),
        (("--recipe", "demo"), "--recipe: must go with --space, not with --table."),
        (("--resume",), "--resume: must go with --space, not with --table."),
        (("--data", "glue"), "--data: must go with --space"),
        (("--max-failures", "3"), "--max-failures: must go with --space"),
    ],
)
def test_bad_options_are_told_in_one_line(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str):
    assert expected in refused(capsys, *WORDS, *words)


@pytest.mark.parametrize("words", [("--objective", "acc"), ("--suggest", "3"), ("--id", "a"), ("--minimize",)])
def test_options_of_a_table_are_refused_for_a_space(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]):
    assert f"{words[0]}: must go with --table, not with --space." in refused(
        capsys, "--space", "flexibert_mini", *words
    )
    assert f"{words[0]}: must go with --table" in refused(capsys, *words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("absent.csv",), "--table must be a file or one of nas_bench_bert, got 'absent.csv'."),
        ((".",), ".: --table must be a file, got a directory."),
        (("t.csv",), "t.csv: objective must name a column, got none. It has arch, op, width"),
    ],
)
def test_bad_tables_are_told_in_one_line(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str):
    assert expected in refused(capsys, "--table", *words)


def test_an_interrupt_ends_with_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Searcher, "propose", interrupt)
    assert main(WORDS) == 130
    assert capsys.readouterr().err.endswith("interrupted\n")


def test_the_same_seed_gives_the_same_output_in_a_new_process(capsys: pytest.CaptureFixture[str]):
    words = ("--table", "nas_bench_bert", "--surrogate", "gp", "--budget", "12", "--seed", "3")
    here, _ = run(capsys, *words)
    code = (
        "import sys\n"
        "from boshnas.run import main\n"
        f"assert main({[*words, '--json']!r}) == 0\n"
        "wrong = {'transformers', 'datasets', 'boshnas.campaign', 'boshnas.space_command', 'design_space.model', "
        "'pretrain', 'finetune'}\n"
        "assert not wrong & set(sys.modules), wrong & set(sys.modules)"
    )
    there = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert json.loads(there.stdout.splitlines()[-1]) == here
    other, _ = run(capsys, *words[:-1], "4")
    assert other["history"] != here["history"]


def test_help_brings_neither_torch_nor_pandas():
    code = (
        "import sys\nfrom boshnas.run import main\nmain(['--help'])\nassert not {'torch', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_names_with_markup_are_printed_as_they_are(capsys: pytest.CaptureFixture[str], folder: Path):
    text = "\n".join(ROWS).replace("op,", "[red]op,").replace(",acc", ",[b]acc").replace("skip", "[x]")
    (folder / "odd.csv").write_text(text)
    words = ("--objective", "[b]acc", "--features", "[red]op,width", "--surrogate", "random")
    assert main(["--table", "odd.csv", *words]) == 0
    captured = capsys.readouterr()
    assert "Best by [b]acc" in captured.out
    assert "[red]op" in captured.out
    assert "[x]" in captured.out


def test_a_row_number_error_is_an_input_error(folder: Path):
    (folder / "inf.csv").write_text("x,acc\n1,0.5\n2,inf\n3,0.1\n")
    with pytest.raises(
        InputError, match=r"inf\.csv: objective column 'acc' must hold finite numbers, got inf in row 1"
    ):
        Table.read("inf.csv", "acc")
