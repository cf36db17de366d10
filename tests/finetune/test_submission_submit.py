"""`python -m finetune glue --submission`: from a folder of tasks to the site's files, and what is refused before it."""

import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from design_space.errors import InputError
from finetune import runs
from finetune.__main__ import main
from finetune.commands import suite as suite_command
from finetune.heads.head import Outcome
from finetune.submission import submit
from finetune.submission.files import FILES
from finetune.tasks import GLUE, Task
from pretrain.callbacks import DivergedError

WORDS = ("happy", "sad", "old")
"""Each decides for the label of its place, in every task."""

CODES = {
    "cola/test": (0, 1, 1, 0, 1, 0),
    "stsb/test": (0, 1, 2, 2, 1, 0),
    "mnli/test_matched": (0, 1, 2, 2, 1, 0),
    "mnli/test_mismatched": (2, 0, 1, 0, 1, 2),
    "ax/test": (1, 1, 0, 2, 0, 2),
}


def rows_of(task: Task, codes: Sequence[int]) -> list[dict[str, Any]]:
    """Rows without labels."""
    nouns = itertools.cycle(("dog", "cat", "horse", "bird", "guest"))
    first, *others = task.text_fields
    return [
        {first: f"the {WORDS[code]} {noun} ran .", **dict.fromkeys(others, f"the {noun} ran .")}
        for code, noun in zip(codes, nouns, strict=False)
    ]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of CoLA, STS-B and MNLI with six test rows in each of their files, which is what the site has here."""
    for name, file in FILES.items():
        monkeypatch.setitem(FILES, name, replace(file, num_rows=6))
    parts = {
        place: rows_of(GLUE[FILES[name].task], CODES[place])
        for name, place in zip(("CoLA", "STS-B", "MNLI-m", "MNLI-mm", "AX"), CODES, strict=True)
    }
    for task in (GLUE["cola"], GLUE["stsb"], GLUE["mnli"]):
        codes = list(range(len(task.labels) or 3)) * 20
        labelled = [{**row, "label": code} for row, code in zip(rows_of(task, codes), codes, strict=True)]
        wrong = {**labelled[0], "label": 1}  # so that no score is perfect
        parts |= {f"{task.name}/train": labelled, f"{task.name}/{task.validation_split}": [*labelled[:12], wrong]}
    for place, rows in parts.items():
        path = tmp_path / "data" / f"{place}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "data"


@pytest.fixture
def glue(checkpoint: str, tmp_path: Path) -> Callable[..., None]:
    """Runs the command for a step a task, with the submission folder `sub`."""

    def run(data: Path | str, *further: str, tasks: str = "all") -> None:
        flags = {
            "--model_name_or_path": checkpoint,
            "--data": str(data),
            "--tasks": tasks,
            "--max_steps": "1",
            "--use_cpu": "true",
            "--disable_tqdm": "true",
            "--submission": str(tmp_path / "sub"),
        }
        main(["glue", *(word for flag in flags.items() for word in flag), *further])

    return run


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a run that must be refused begins."""
    monkeypatch.setattr(suite_command, "run_suite", lambda *_: pytest.fail("began to train"))


def similarities(model: Path, rows: list[dict[str, str]]) -> list[float]:
    texts = [[row[field] for row in rows] for field in GLUE["stsb"].text_fields]
    batch = AutoTokenizer.from_pretrained(model)(*texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        outputs = AutoModelForSequenceClassification.from_pretrained(model).eval()(**batch).logits
    return outputs.squeeze(-1).clamp(0, 5).tolist()


def predictions(path: Path) -> list[str]:
    header, *lines = path.read_text().splitlines()
    assert header == "index\tprediction"
    assert [line.split("\t")[0] for line in lines] == [str(index) for index in range(len(lines))]
    return [line.split("\t")[1] for line in lines]


def test_the_kept_models_predict_the_test_rows_into_the_files_of_the_site(
    data: Path, glue: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    learning = ("--max_steps", "20", "--learning_rate", "1e-2", "--per_device_train_batch_size", "16")
    glue(data, "--output_dir", str(tmp_path / "out"), "--json", *learning)
    sub = tmp_path / "sub"
    assert predictions(sub / "CoLA.tsv") == [str(code) for code in CODES["cola/test"]]
    for name, place in (("MNLI-m", "mnli/test_matched"), ("MNLI-mm", "mnli/test_mismatched"), ("AX", "ax/test")):
        names = ("entailment", "neutral", "contradiction")
        assert predictions(sub / f"{name}.tsv") == [names[code] for code in CODES[place]], name
    expected = similarities(tmp_path / "out" / "stsb" / "model", rows_of(GLUE["stsb"], CODES["stsb/test"]))
    assert [float(number) for number in predictions(sub / "STS-B.tsv")] == pytest.approx(expected, abs=6e-4)
    assert len(list(sub.iterdir())) == 5
    captured = capsys.readouterr()
    assert json.loads(captured.out) == json.loads((tmp_path / "out" / "result.json").read_text())
    told = [line for line in captured.err.splitlines() if str(sub) in line]
    assert told == [
        *(f"{sub / name}.tsv is written." for name in ("CoLA", "STS-B", "MNLI-m", "MNLI-mm", "AX")),
        *(f"{sub}: {name}.tsv: is missing." for name in ("SST-2", "MRPC", "QQP", "QNLI", "RTE", "WNLI")),
    ]


def test_without_an_output_folder_the_models_are_not_kept(
    data: Path, glue: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    monkeypatch.chdir(tmp_path)
    glue(data, tasks="cola")
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["CoLA.tsv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "scratch", "sub"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_last_of_the_eleven_files_makes_it_whole(
    data: Path, glue: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "sub").mkdir()
    for name, file in FILES.items():
        if name != "CoLA":
            word = file.words[0] if file.words else "2.5"
            rows = [f"{index}\t{word}\n" for index in range(6)]
            (tmp_path / "sub" / file.file_name).write_text("".join(["index\tprediction\n", *rows]))
    glue(data, tasks="cola")
    assert capsys.readouterr().err.splitlines()[-1] == f"{tmp_path / 'sub'}: all 11 files are there."


def test_models_of_runs_that_are_done_are_used_again_and_must_be_there(
    data: Path, glue: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = ("--output_dir", str(tmp_path / "out"))
    glue(data, *out, tasks="cola")
    before = (tmp_path / "sub" / "CoLA.tsv").read_text()
    shutil.rmtree(tmp_path / "sub")
    monkeypatch.setattr(runs, "finetune", lambda *_, **__: pytest.fail("began to train"))
    glue(data, *out, "--resume", tasks="cola")
    assert (tmp_path / "sub" / "CoLA.tsv").read_text() == before
    shutil.rmtree(tmp_path / "sub")
    shutil.rmtree(tmp_path / "out" / "cola" / "model")
    message = r"^--resume: .*out/cola/model must hold the best model of the runs .* Remove .*out/cola/run-42\.json"
    with pytest.raises(InputError, match=message):
        glue(data, *out, "--resume", tasks="cola")
    assert not (tmp_path / "sub").exists()


def test_nothing_is_written_where_a_prediction_fails(
    data: Path, glue: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def predict(folder: Path, task: Task, rows: list[Any], *_: object) -> Outcome:
        if task.name == "stsb":
            raise DivergedError("stsb: predictions are not finite")
        return Outcome([0] * len(rows), {}, None)

    monkeypatch.setattr(submit, "predict", predict)
    with pytest.raises(InputError, match="^stsb: predictions are not finite$"):
        glue(data, "--output_dir", str(tmp_path / "out"), tasks="cola,stsb")
    assert not (tmp_path / "sub").exists()
    assert (tmp_path / "out" / "result.json").exists()  # so that --resume goes on from here


@pytest.mark.usefixtures("no_training")
def test_a_file_that_is_there_is_refused(data: Path, glue: Callable[..., None], tmp_path: Path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "MNLI-mm.tsv").write_text("precious")
    with pytest.raises(InputError, match=r"^--submission: .*sub/MNLI-mm\.tsv must not exist, does. Remove it, or give"):
        glue(data)
    assert (tmp_path / "sub" / "MNLI-mm.tsv").read_text() == "precious"


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("place", ["file", "file/sub", "/proc/sub"])
def test_a_folder_that_cannot_be_written_is_refused(data: Path, glue: Callable[..., None], tmp_path: Path, place: str):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(InputError, match=rf"^--submission: .*{place} must be a folder.* is \w+\. Give another"):
        glue(data, "--submission", str(tmp_path / place))
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.usefixtures("no_training")
def test_test_rows_are_asked_for_before_training_and_nothing_is_left(
    data: Path, glue: Callable[..., None], tmp_path: Path
):
    (data / "cola" / "test.jsonl").write_text('{"sentence": "the dog ran ."}\n')
    with pytest.raises(InputError, match=r"cola/test\.jsonl: must hold the 6 test rows of CoLA, holds 1\."):
        glue(data, tasks="cola")
    (data / "cola" / "test.jsonl").unlink()
    with pytest.raises(InputError, match=r"^--submission: needs .*cola/test as \.jsonl or .*leave cola out of --tasks"):
        glue(data)
    with pytest.raises(InputError, match="^--submission: needs the test rows of GLUE, the demo has none"):
        glue("demo", tasks="cola")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_without_the_diagnostic_set_is_told(
    data: Path, glue: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    shutil.rmtree(data / "ax")
    glue(data, tasks="mnli")
    assert sorted(path.name for path in (tmp_path / "sub").iterdir()) == ["MNLI-m.tsv", "MNLI-mm.tsv"]
    assert f"--submission: {data}/ax/test is not there: AX.tsv is left out.\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["superglue"], []])
def test_there_are_submissions_of_glue_alone(command: list[str]):
    with pytest.raises(InputError, match="unknown flag '--submission'"):
        main([*command, "--submission", "sub"])
