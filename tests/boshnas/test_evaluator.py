"""Searches of a space by a program of the user's own; the one that the documentation shows is among them."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from shown import files

from boshnas.campaign import check
from boshnas.campaign_settings import CampaignSettings
from boshnas.errors import InputError
from boshnas.run import main
from boshnas.store import Store, place
from boshnas.trial import Status
from design_space.model import FlexiBertForMaskedLM

CRASHES_ONCE = """
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
job = json.loads(path.read_text())
if job["attempt"] == 1 and job["number"] == 1:
    raise SystemExit("a bad node")
status = "out of memory" if job["number"] == 2 and job["batch_split"] < 4 else "finished"
result = {"number": job["number"], "id": job["id"], "status": status}
result |= {"score": float(job["number"])} if status == "finished" else {}
path.with_name("result.json").write_text(json.dumps(result))
"""
LEAVES_A_MODEL = """
import json, pathlib, sys
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
path = pathlib.Path(sys.argv[1])
job = json.loads(path.read_text())
model = FlexiBertForMaskedLM(FlexiBertConfig(model_dict=job["architecture"], vocab_size=64))
model.save_pretrained(path.with_name("pretrained"))
result = {"number": job["number"], "id": job["id"], "status": "finished", "score": 1.0}
path.with_name("result.json").write_text(json.dumps(result))
"""
LEAVES_ANOTHERS_MODEL = (
    CRASHES_ONCE
    + """
path.with_name("pretrained").mkdir(exist_ok=True)
path.with_name("pretrained").joinpath("config.json").write_text('{"model_type": "bert"}')
"""
)


@pytest.fixture
def tiny(tmp_path: Path, tiny_text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(tiny_text)
    return tmp_path


def searched(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    words = ["--space", "tiny.yaml", "--budget", "4", "--parallel", "2", "--synchronous", "--out", "run", "--json"]
    assert main([*words, "--evaluator", f"{sys.executable} train.py {{job}}", *options]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_the_evaluator_of_the_documentation_drives_a_search(tiny: Path, capsys: pytest.CaptureFixture[str]):
    (tiny / "train.py").write_text(files()["train.py"])
    found = searched(tiny, capsys)
    assert (found["num_evaluated"], found["num_failed"], found["export_dir"], found["data"]) == (4, 0, None, None)
    with Store.open(place(tiny / "run", None), read_only=True) as store:
        trials = store.trials()
    assert found["best"]["score"] == max(trial.score or 0.0 for trial in trials)
    assert len({trial.id for trial in trials}) == 4
    assert not (tiny / "run" / "tokenizer").exists()


def test_its_failures_are_retried_by_cause(tiny: Path, capsys: pytest.CaptureFixture[str]):
    (tiny / "train.py").write_text(CRASHES_ONCE)
    found = searched(tiny, capsys)
    assert (found["num_evaluated"], found["num_failed"], found["best"]["score"]) == (4, 0, 3.0)
    with Store.open(place(tiny / "run", None), read_only=True) as store:
        attempts = [[attempt.status for attempt in trial.attempts] for trial in store.trials()]
    assert attempts == [[], [Status.CRASHED], [Status.OUT_OF_MEMORY] * 2, []]


def test_a_search_goes_on_with_its_evaluator_from_another_folder(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tiny / "train.py").write_text(CRASHES_ONCE)
    searched(tiny, capsys)
    (tiny / "elsewhere").mkdir()
    monkeypatch.chdir(tiny / "elsewhere")
    assert main(["--resume", "--out", "../run", "--budget", "6", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["num_evaluated"] == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluator": "python train.py"}, r"--evaluator: must name \{job\} where the path of the job goes"),
        ({"evaluator": "python 'train.py {job}"}, r"--evaluator: must be a command, got .*No closing quotation"),
        ({"evaluator": "no_such_program {job}"}, r"--evaluator: must begin with a program that is there"),
        ({"evaluator": "./nothing {job}"}, r"--evaluator: must begin with a program that is there, got '.*/nothing'"),
        ({"evaluator": "{python} no.py {job}"}, r"--evaluator: must name a script that is there, got 'no\.py'"),
        ({"evaluator": "sh -eu dir/no.sh {job}"}, r"--evaluator: must name a script that is there, got 'dir/no\.sh'"),
        ({"evaluator": "{python} folder.py {job}"}, r"--evaluator: must name a script that is there, got 'folder\.py'"),
        ({"evaluator": "true {job}", "tasks": "cola"}, r"--tasks: must not be given with --evaluator.*got 'cola'"),
        ({"evaluator": "true {job}", "pretrain_steps": 3}, r"--pretrain-steps: must not be given with --evaluator"),
        ({"straggler_factor": 0.5}, r"--straggler-factor: must be above 1, or 0 for no limit, got 0\.5"),
        ({"min_free_gb": -1.0}, r"--min-free-gb: must be at least 0, got -1\.0"),
        ({"max_checkpoint_gb": -1.0}, r"--max-checkpoint-gb: must be at least 0"),
        ({"min_free_gb": float("nan")}, r"--min-free-gb: must be a number, got nan"),
        ({"max_checkpoint_gb": float("inf")}, r"--max-checkpoint-gb: must be a number, got inf"),
        ({"keep_best": 0}, r"--keep-best: must be at least 1, got 0"),
    ],
)
def test_check_refuses(tiny: Path, changes: dict[str, Any], message: str):
    (tiny / "folder.py").mkdir()
    if "evaluator" in changes:
        changes = changes | {"evaluator": changes["evaluator"].replace("{python}", sys.executable)}
    with pytest.raises(InputError, match=message):
        check(CampaignSettings(space="tiny.yaml", **changes))


@pytest.mark.parametrize(
    "words",
    [
        "-m no.py {job}",
        "-c 'import sys' no.py {job}",
        "{job} no.py",
        "train --config no.py {job}",
        "{job}.py",
    ],
)
def test_only_what_an_interpreter_runs_has_to_be_there(tiny: Path, words: str):
    assert check(CampaignSettings(space="tiny.yaml", evaluator=f"{sys.executable} {words}")).command[0]
    assert check(CampaignSettings(space="tiny.yaml", evaluator="env python no.py {job}")).command[0]


def test_a_script_that_is_not_there_starts_nothing(tiny: Path, capsys: pytest.CaptureFixture[str]):
    words = ["--space", "tiny.yaml", "--out", "run", "--evaluator", f"{sys.executable} no.py {{job}}"]
    assert main(words) == 2
    assert capsys.readouterr().err == "--evaluator: must name a script that is there, got 'no.py'. Give its path.\n"
    assert not (tiny / "run").exists()


def test_why_an_evaluation_failed_and_where_its_log_is_stand_in_its_line(
    tiny: Path, capsys: pytest.CaptureFixture[str]
):
    (tiny / "train.py").write_text("raise ValueError('no data.')")
    words = ["--space", "tiny.yaml", "--budget", "1", "--parallel", "1", "--out", "run"]
    assert main([*words, "--evaluator", f"{sys.executable} train.py {{job}}"]) == 1
    said = capsys.readouterr().err
    reason = "(crashed): ValueError: no data (return code 1), log: run/jobs/00000/log.txt"
    assert f"tried again after attempt 1 {reason}\n" in said
    assert f"failed {reason}; 1 of 1 evaluation, no score yet" in said
    assert not [wrong for wrong in (".;", "..", "None") if wrong in said]


def test_more_evaluations_than_cores_are_warned_of(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    settings = CampaignSettings(space="tiny.yaml", evaluator="true {job}", parallel=1000)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [line for line in check(settings).warnings if "1000 evaluations share them" in line and "cores" in line]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert [line for line in check(settings).warnings if "2 GPUs; 1000 evaluations share them" in line]


def test_a_virtual_environments_interpreter_stays_a_link_and_only_the_script_is_made_whole(tiny: Path):
    (tiny / "venv").mkdir()
    (tiny / "venv" / "python").symlink_to(sys.executable)
    for name in ("train.py", "fast"):
        (tiny / name).touch()
    campaign = check(CampaignSettings(space="tiny.yaml", evaluator="venv/python -S train.py {job} --mode fast"))
    assert list(campaign.command) == [
        str(tiny / "venv/python"),
        "-S",
        str(tiny / "train.py"),
        "{job}",
        "--mode",
        "fast",
    ]


def test_tasks_are_told_by_the_names_that_it_gave_them(tiny: Path, capsys: pytest.CaptureFixture[str]):
    (tiny / "train.py").write_text(CRASHES_ONCE.replace('"score":', '"task_scores": {"a[/b]": 1.0}, "score":'))
    assert main(["--space", "tiny.yaml", "--budget", "2", "--evaluator", f"{sys.executable} train.py {{job}}"]) == 0
    assert "a[/b]" in capsys.readouterr().out


def test_the_best_model_that_it_left_is_exported(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tiny / "train.py").write_text(LEAVES_A_MODEL)
    python = Path(sys.executable)
    monkeypatch.setenv("PATH", str(python.parent), prepend=os.pathsep)
    words = ["--space", "tiny.yaml", "--budget", "1", "--out", "run", "--json"]
    assert main([*words, "--evaluator", f"{python.name} train.py {{job}}"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["export_dir"] == "run/best"
    model = FlexiBertForMaskedLM.from_pretrained(tiny / "run" / "best")
    assert model.config.model_dict["h"] == found["best"]["model_dict"]["h"]
    assert "train.py" in (tiny / "run" / "best" / "README.md").read_text("utf-8")


def test_a_model_that_cannot_be_exported_does_not_take_the_results_away(tiny: Path, capsys: pytest.CaptureFixture[str]):
    (tiny / "train.py").write_text(LEAVES_ANOTHERS_MODEL)
    words = ["--space", "tiny.yaml", "--budget", "1", "--out", "run", "--json"]
    assert main([*words, "--evaluator", f"{sys.executable} train.py {{job}}"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out.splitlines()[-1])
    assert (found["num_evaluated"], found["export_dir"]) == (1, None)
    assert f"The model of {found['best']['id']} is not exported: " in captured.err
