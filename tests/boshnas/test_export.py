import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from boshnas.campaign import Campaign, check, open_store
from boshnas.campaign_settings import CampaignSettings
from boshnas.elsewhere import check_elsewhere
from boshnas.export.__main__ import main
from boshnas.export.export import ExportRequest, export
from boshnas.job import CHECKPOINT_FOLDER, Job, Parent, Result, job_folder
from boshnas.trial import Decision, Proposal, Status, Trial
from boshnas.worker.evaluation import evaluate
from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM
from pretrain.tokenizer import load_tokenizer

TINY = """
architecture:
  encoder_layers: [2]
  hidden_size: [32]
  num_heads: [2]
  operation_types: [sa, c]
  operation_parameters: {sa: [sdp], c: [5]}
  feed-forward_hidden: [64]
  number_of_feed-forward_stacks: [1, 2]
"""
RECIPE = """
max_steps: 2
per_device_train_batch_size: 4
max_seq_length: 16
learning_rate: 1.0e-3
warmup_steps: 1
vocab_size: 280
"""
TEXT = "\n".join(
    f"the {colour} cat {verb} a mat" for colour in ("red", "blue", "old") for verb in ("sees", "wants") * 40
)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    folder = tmp_path_factory.mktemp("given")
    for name, content in (("tiny.yaml", TINY), ("recipe.yaml", RECIPE), ("text.txt", TEXT)):
        (folder / name).write_text(content)
    settings = CampaignSettings(
        space=str(folder / "tiny.yaml"),
        recipe=str(folder / "recipe.yaml"),
        corpus=str(folder / "text.txt"),
        tasks="sst2",
        finetune_steps=2,
    )
    return check(settings)


def add(campaign: Campaign, folder: Path, score: float | None, parent: Parent | None = None) -> Trial:
    """One more evaluation in the store, without any training."""
    with open_store(campaign, folder, resume=folder.exists()) as store:
        number = len(store.trials())
        id_ = campaign.source.open_level(1, {})[number]
        candidate = campaign.source.describe(id_)
        store.add(
            Trial(
                number=number,
                proposal=Proposal(id=id_, decision=Decision.RANDOM),
                level=1,
                architecture=candidate.architecture,
                parameters=candidate.parameters,
                seed=0,
                parent_id=parent.id if parent else None,
            )
        )
        status = Status.CRASHED if score is None else Status.FINISHED
        tasks = {} if score is None else {"sst2": score}
        return store.finish(Result(number=number, id=id_, status=status, score=score, task_scores=tasks))


@pytest.fixture
def run_folder(campaign: Campaign, tmp_path: Path) -> Path:
    """A run with a failed evaluation and two that finished, whose checkpoints are gone."""
    folder = tmp_path / "run"
    for score in (None, 50.0, 60.0):
        add(campaign, folder, score)
    return folder


def ids(run_folder: Path, campaign: Campaign) -> list[str]:
    with open_store(campaign, run_folder, resume=True) as store:
        return [trial.id for trial in store.trials()]


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_an_existing_target_is_refused_and_left_alone(run_folder: Path, capsys: pytest.CaptureFixture[str]):
    target = run_folder.parent / "mine"
    target.mkdir()
    (target / "thesis.txt").write_text("years")
    assert "mine exists. Give another folder." in refused(capsys, str(run_folder), "--to", str(target))
    assert (target / "thesis.txt").read_text() == "years"


def test_an_unknown_id_is_refused_with_the_known_ones(
    run_folder: Path, campaign: Campaign, capsys: pytest.CaptureFixture[str]
):
    failed, *finished = ids(run_folder, campaign)
    line = refused(capsys, str(run_folder), "--to", str(run_folder.parent / "new"), "--id", "feedbeef")
    assert "got 'feedbeef'" in line
    assert all(id_ in line for id_ in finished)
    assert failed not in line


def test_an_id_that_failed_is_refused(run_folder: Path, campaign: Campaign, capsys: pytest.CaptureFixture[str]):
    failed = ids(run_folder, campaign)[0]
    line = refused(capsys, str(run_folder), "--to", str(run_folder.parent / "new"), "--id", failed)
    assert f"--id: must be an architecture that finished ({ids(run_folder, campaign)[1]}" in line


def test_a_run_without_a_finished_evaluation_is_refused(
    campaign: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    add(campaign, tmp_path / "run", None)
    line = refused(capsys, str(tmp_path / "run"), "--to", str(tmp_path / "new"))
    assert "no evaluation has finished; there is nothing to export yet" in line


def test_a_checkpoint_that_is_gone_is_refused(run_folder: Path, capsys: pytest.CaptureFixture[str]):
    line = refused(capsys, str(run_folder), "--to", str(run_folder.parent / "new"))
    assert "must hold its checkpoint, got none" in line
    assert "--train" in line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("absent", "--to", "new"), "store must be a file, got nothing"),
        (("--to", "new"), "Missing argument 'RUN'"),
        (("run",), "Missing option '--to'"),
        (("run", "--to", "new", "--tsk", "sst2"), "No such option: --tsk"),
    ],
)
def test_bad_words_are_told_in_one_line(
    run_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    expected: str,
):
    monkeypatch.chdir(run_folder.parent)
    assert expected.lower() in refused(capsys, *words).lower()
    assert not (run_folder.parent / "new").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [(("--task", "sst"), "Did you mean 'sst2'?"), (("--train", "cpu_smal"), "--train: must be one of")],
)
def test_an_unknown_task_or_recipe_leaves_nothing_behind(
    run_folder: Path, campaign: Campaign, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str
):
    (job_folder(run_folder, 2) / CHECKPOINT_FOLDER).mkdir(parents=True)
    before = sorted(run_folder.parent.rglob("*"))
    assert expected in refused(capsys, str(run_folder), "--to", str(run_folder.parent / "deep" / "new"), *words)
    assert sorted(run_folder.parent.rglob("*")) == before


@pytest.fixture
def evaluated(campaign: Campaign, tmp_path: Path) -> Path:
    """A run of an evaluator, which left a model in the folder of its better evaluation alone."""
    campaign = check(CampaignSettings(space=campaign.settings.space, evaluator="true --rate 0.1 {job}"))
    folder = tmp_path / "run"
    add(campaign, folder, 60.0)
    best = add(campaign, folder, 70.0, Parent(id="feedbeef", checkpoint="unused", overlap=1.0))
    config = FlexiBertConfig(model_dict=dict(best.architecture), vocab_size=64, max_position_embeddings=12)
    FlexiBertForMaskedLM(config).save_pretrained(job_folder(folder, 1) / CHECKPOINT_FOLDER)
    return folder


def test_what_an_evaluator_left_is_exported(evaluated: Path, capsys: pytest.CaptureFixture[str]):
    target = evaluated.parent / "model"
    assert main([str(evaluated), "--to", str(target), "--license", "mit", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["export_dir"] == str(target)
    ours = FlexiBertForMaskedLM.from_pretrained(job_folder(evaluated, 1) / CHECKPOINT_FOLDER).state_dict()
    exported = FlexiBertForMaskedLM.from_pretrained(target).state_dict()
    assert all(torch.equal(ours[name], exported[name]) for name in ours)
    card = (target / "README.md").read_text("utf-8")
    assert "An evaluator of the user's own trained this model" in card
    assert "\ntrue --rate 0.1 '{job}'\n" in card
    assert "offered the weights of `feedbeef`" in card
    assert "score of the search: 70.00" in card
    assert "GLUE" not in card
    assert "AutoTokenizer" not in card
    assert "\nlicense: mit\n" in card


def test_the_tokenizer_that_an_evaluator_left_goes_along(evaluated: Path, campaign: Campaign):
    campaign.training.prepare(evaluated)
    load_tokenizer(evaluated / "tokenizer").save_pretrained(job_folder(evaluated, 1) / CHECKPOINT_FOLDER)
    target = evaluated.parent / "model"
    export(ExportRequest(run_folder=evaluated, target=target))
    assert AutoTokenizer.from_pretrained(target)("the red cat")["input_ids"]
    assert 'AutoTokenizer.from_pretrained("DIR"' in (target / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--task", "sst2"), "--task: must not be given for a run whose evaluator trained in its own way, got 'sst2'."),
        (("--train", "cpu_small"), "--train: must not be given for a run whose evaluator trained in its own way"),
    ],
)
def test_what_needs_a_recipe_is_refused_for_an_evaluators_run(
    evaluated: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str
):
    assert expected in refused(capsys, str(evaluated), "--to", str(evaluated.parent / "new"), *words)
    assert not (evaluated.parent / "new").exists()


def test_a_model_that_an_evaluator_did_not_leave_whole_is_refused(evaluated: Path, capsys: pytest.CaptureFixture[str]):
    words = (str(evaluated), "--to", str(evaluated.parent / "new"))
    checkpoint = job_folder(evaluated, 1) / CHECKPOINT_FOLDER
    (checkpoint / "model.safetensors").write_bytes(b"torn")
    line = refused(capsys, *words)
    assert "--train" not in line
    (checkpoint / "config.json").write_text('{"model_type": "bert"}')
    refused(capsys, *words)
    shutil.rmtree(checkpoint)
    line = refused(capsys, *words)
    assert "must hold its checkpoint, got none" in line
    assert "--train" not in line
    assert not (evaluated.parent / "new").exists()


def test_help_works(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    assert "--train" in capsys.readouterr().out


def trained(campaign: Campaign, folder: Path) -> list[Trial]:
    """A run of two evaluations, the second with the weights of the first."""
    first = add(campaign, folder, 50.0)
    second = add(campaign, folder, 60.0, Parent(id=first.id, checkpoint="unused", overlap=1.0))
    campaign.training.prepare(folder)
    checkpoint = f"jobs/00000/{CHECKPOINT_FOLDER}"
    for trial, parent in ((first, None), (second, Parent(id=first.id, checkpoint=checkpoint, overlap=1.0))):
        job = Job(
            number=trial.number,
            id=trial.id,
            architecture=dict(trial.architecture),  # type: ignore[arg-type]
            seed=0,
            parent=parent,
            settings=campaign.training.worker.model_dump(mode="json"),
        )
        job_folder(folder, trial.number).mkdir(parents=True)
        evaluate(job, job_folder(folder, trial.number), folder)
    return [first, second]


def answer(task: str, folder: Path, text: str) -> list[dict[str, Any]]:
    """What a pipeline says in a process that does not know this project."""
    code = (
        "import json, sys; from transformers import pipeline\n"
        "out = pipeline(sys.argv[1], model=sys.argv[2], trust_remote_code=True)(sys.argv[3])\n"
        "assert 'design_space' not in sys.modules; print(json.dumps(out))"
    )
    words = [sys.executable, "-P", "-c", code, task, str(folder), text]
    outcome = subprocess.run(words, cwd=folder.parent, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr[-2000:]
    found: list[dict[str, Any]] = json.loads(outcome.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_an_export_is_the_searchs_model_and_loads_elsewhere(
    campaign: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder, target = tmp_path / "run", tmp_path / "deep" / "model"
    first, second = trained(campaign, folder)
    assert main([str(folder), "--to", str(target), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == {"id": second.id, "export_dir": str(target)}
    assert [path.name for path in target.parent.iterdir()] == ["model"]
    assert {
        "README.md",
        "config.json",
        "configuration_flexibert.py",
        "masking_flexibert.py",
        "operations_flexibert.py",
        "model.safetensors",
        "modeling_flexibert.py",
        "tokenizer.json",
    } <= {path.name for path in target.iterdir()}
    assert not list(target.rglob("*.bin"))
    card = (target / "README.md").read_text("utf-8")
    assert f"**Transferred**: the weights come from the trained neighbour `{first.id}`" in card
    assert "demo GLUE score (synthetic data) of the search: 60.00" in card

    ours = FlexiBertForMaskedLM.from_pretrained(job_folder(folder, 1) / CHECKPOINT_FOLDER).eval()
    exported = FlexiBertForMaskedLM.from_pretrained(target).eval()
    inputs = AutoTokenizer.from_pretrained(target)("the red cat", return_tensors="pt")
    with torch.no_grad():
        assert torch.equal(ours(**inputs).logits, exported(**inputs).logits)

    damaged = job_folder(folder, 0) / CHECKPOINT_FOLDER / "model.safetensors"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:1000])
    line = refused(capsys, str(folder), "--to", str(tmp_path / "bad"), "--id", first.id)
    assert "the weights cannot be read" in line
    assert not (tmp_path / "bad").exists()
    damaged.write_bytes(content)

    classifier = tmp_path / "classifier"
    assert export(ExportRequest(run_folder=folder, target=classifier, id=first.id, task="sst2")).id == first.id
    assert answer("text-classification", classifier, "the red cat")[0]["label"] in ("negative", "positive")
    filled = answer("fill-mask", target, "the red <mask> sees a mat")
    assert len(filled) == 5
    assert all(0 < found["score"] <= 1 and found["token_str"] for found in filled)
    assert "Fine-tuned for demo sst2: score" in (classifier / "README.md").read_text("utf-8")

    (target / "modeling_flexibert.py").write_text("raise RuntimeError('broken')\n")
    with pytest.raises(RuntimeError, match="does not load in a fresh process"):
        check_elsewhere(target)
