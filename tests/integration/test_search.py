"""Whole searches as commands, in processes of their own, on a space of tiny encoders."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

from boshnas.errors import InputError
from boshnas.store import STORE_FILE, Store
from boshnas.trial import Status, Trial

pytestmark = pytest.mark.slow

SPACE = """
architecture:
  encoder_layers: [2, 4]
  hidden_size: [32, 64]
  num_heads: [2]
  operation_types: [sa, l, c]
  operation_parameters: {sa: [sdp, wma], l: [dft, dct], c: [5, 9]}
  feed-forward_hidden: [64]
  number_of_feed-forward_stacks: [1, 2]
"""
DIVERGING = """
max_steps: 2
per_device_train_batch_size: 4
max_seq_length: 16
learning_rate: 1.0e+30
warmup_steps: 1
vocab_size: 300
"""
TEXT = "\n".join(
    f"the {colour} cat {verb} a mat" for colour in ("red", "blue", "old") for verb in ("sees", "wants") * 99
)
WORDS = (
    *("--space", "tiny.yaml", "--budget", "3", "--pretrain-steps", "2", "--finetune-steps", "2", "--tasks", "sst2"),
    *("--corpus", "text.txt", "--parallel", "1"),
)
BAD_OUT = ("--out", "bad", "--json")
LIMIT_S = 240.0
LOAD = """
import sys
import torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer
folder = sys.argv[1]
inputs = AutoTokenizer.from_pretrained(folder)("the cat sees", return_tensors="pt")
for auto, name in ((AutoModel, "last_hidden_state"), (AutoModelForMaskedLM, "logits"),
                   (AutoModelForSequenceClassification, "logits")):
    model = auto.from_pretrained(folder, trust_remote_code=True).eval()
    with torch.no_grad():
        assert torch.isfinite(model(**inputs)[name]).all()
assert "design_space" not in sys.modules
assert "boshnas" not in sys.modules
print("loaded")
"""


@dataclass
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


def start(cwd: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "boshnas.run", *words],
        cwd=cwd,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"},  # threads that spin starve each other on a busy machine
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(process: "subprocess.Popen[str]") -> None:
    """Kill a command with its whole process group; its workers have groups of their own and end when it is gone."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def finish(process: "subprocess.Popen[str]") -> Ended:
    try:
        out, err = process.communicate(timeout=LIMIT_S)
    finally:
        kill(process)
    return Ended(process.returncode, out, err)


def trials(folder: Path) -> list[Trial]:
    """What the store holds; nothing while there is none yet."""
    try:
        with Store.open(folder / STORE_FILE) as store:
            return store.trials()
    except InputError:
        return []


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "tiny.yaml").write_text(SPACE)
    (folder / "text.txt").write_text(TEXT)
    (folder / "diverging.yaml").write_text(DIVERGING)
    return folder


@pytest.fixture(scope="module")
def ended(place: Path) -> dict[str, Ended]:
    """Two searches side by side: one that runs to its end, one whose every evaluation diverges."""
    bad = ("--space", "tiny.yaml", "--budget", "4", "--recipe", "diverging.yaml", "--tasks", "sst2")
    processes = {
        "whole": start(place, *WORDS, "--out", "whole", "--json"),
        "bad": start(place, *bad, "--corpus", "text.txt", "--parallel", "2", "--max-failures", "1", *BAD_OUT),
    }
    return {name: finish(process) for name, process in processes.items()}


@pytest.fixture(scope="module")
def search(ended: dict[str, Ended]) -> dict[str, Any]:
    """The JSON of the search that ran to its end."""
    assert ended["whole"].code == 0, ended["whole"].err
    assert "synthetic" in ended["whole"].err
    summary: dict[str, Any] = json.loads(ended["whole"].out.splitlines()[-1])
    return summary


def test_the_last_line_is_the_promised_json(search: dict[str, Any], place: Path):
    names = {"best", "num_evaluated", "num_failed", "levels", "elapsed_s", "export_dir", "store"}
    assert names <= search.keys()
    assert search["best"].keys() >= {"id", "model_dict", "score", "tasks", "params"}
    assert (search["num_evaluated"], search["num_failed"]) == (3, 0)
    assert [level["num_evaluated"] for level in search["levels"]] == [1, 1, 1]
    assert all(level.keys() >= {"level", "size", "num_evaluated", "best"} for level in search["levels"])
    assert search["levels"][0]["size"] == 24 + 24**2
    assert search["best"]["tasks"] == {"sst2": search["best"]["score"]}
    assert search["best"]["score"] == max(level["best"]["score"] for level in search["levels"])
    assert search["elapsed_s"] > 0
    assert (search["export_dir"], search["store"]) == ("whole/best", f"whole/{STORE_FILE}")


def test_the_export_loads_where_the_project_is_not_imported(search: dict[str, Any], place: Path, tmp_path: Path):
    outcome = subprocess.run(
        [sys.executable, "-P", "-c", LOAD, str(place / search["export_dir"])],
        cwd=tmp_path,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.split()[-1] == "loaded"
    config = json.loads((place / search["export_dir"] / "config.json").read_text("utf-8"))
    assert config["model_dict"] == search["best"]["model_dict"]
    assert "demo GLUE score (synthetic data)" in (place / search["export_dir"] / "README.md").read_text("utf-8")


def test_optuna_opens_the_store(search: dict[str, Any], place: Path):
    study = optuna.load_study(study_name="boshnas", storage=f"sqlite:///{place / search['store']}")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
    assert study.best_value == search["best"]["score"]
    assert study.best_trial.user_attrs["architecture_id"] == search["best"]["id"]
    assert study.best_trial.user_attrs["model_dict"] == search["best"]["model_dict"]
    assert "layer1.operation" in study.best_params
    assert set(study.trials[0].user_attrs["stage_seconds"]) == {"pretrain", "sst2"}


def test_another_seed_cannot_resume_the_run(search: dict[str, Any], place: Path):
    before = trials(place / "whole")
    refused = finish(start(place, "--resume", "--out", "whole", "--seed", "1"))
    assert refused.code == 2
    assert refused.out == ""
    assert refused.err.splitlines()[-1].startswith("--resume: whole was begun with seed 0, got 1.")
    assert trials(place / "whole") == before


def test_a_killed_search_resumes_to_the_same_evaluations(search: dict[str, Any], place: Path):
    process = start(place, *WORDS, "--out", "killed")
    deadline = time.monotonic() + LIMIT_S
    try:
        while not any(trial.status is Status.FINISHED for trial in trials(place / "killed")):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.3)
    finally:
        kill(process)
    assert process.returncode == -signal.SIGKILL
    kept = [trial for trial in trials(place / "killed") if trial.status is Status.FINISHED]
    assert 1 <= len(kept) < 3

    resumed = finish(start(place, "--resume", "--out", "killed", "--json"))
    assert resumed.code == 0, resumed.err
    after = trials(place / "killed")
    assert after[: len(kept)] == kept, "a finished evaluation was made again"
    assert len({trial.id for trial in after}) == 3
    assert json.loads(resumed.out.splitlines()[-1])["num_evaluated"] == 3

    def compared(folder: str) -> list[tuple[object, ...]]:
        return [
            (trial.number, trial.proposal, trial.level, trial.parent_id, trial.score, trial.task_scores)
            for trial in trials(place / folder)
        ]

    assert compared("killed") == compared("whole")


def test_a_recipe_that_diverges_ends_in_recorded_failures(ended: dict[str, Ended], place: Path):
    bad = ended["bad"]
    assert bad.code == 1
    summary = json.loads(bad.out.splitlines()[-1])
    assert (summary["best"], summary["export_dir"], summary["num_evaluated"]) == (None, None, 0)
    found = trials(place / "bad")
    assert summary["num_failed"] == len(found)
    assert 2 <= len(found) <= 3  # the third may have begun before the second failed
    assert all(trial.status is Status.DIVERGED for trial in found)
    assert all((trial.error or "").startswith("DivergedError: ") for trial in found)
    assert f"Stopped early: {len(found)} evaluations failed, more than --max-failures 1." in bad.err
    assert "failed (diverged): DivergedError:" in bad.err
