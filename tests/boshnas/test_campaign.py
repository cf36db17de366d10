import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import optuna
import pytest

from boshnas.baselines import RandomSearcher
from boshnas.campaign import Campaign, _restore, check, open_store, params_of, run
from boshnas.campaign_settings import CampaignSettings
from boshnas.executors import LocalExecutor
from boshnas.executors.make import make_executor
from boshnas.job import Job, Result
from boshnas.job_memory import job_memory
from boshnas.run_folder import discard, held_folder
from boshnas.space_source import SpaceSource
from boshnas.store import SCHEMA_NUMBER, STORE_FILE, STUDY_NAME
from boshnas.training import Training
from boshnas.trial import Decision, Proposal, Status, Trial
from boshnas.view import SilentView
from design_space.architecture import Architecture
from design_space.counts import num_parameters
from design_space.model.presets import preset
from design_space.space import DesignSpace
from pretrain.config import Source
from pretrain.corpus import PackedCorpus
from pretrain.tokenizer import load_tokenizer

RECIPE = "{max_steps: 20, per_device_train_batch_size: 4, max_seq_length: 16, learning_rate: 1.0e-3, %s}"
TEXT = "\n".join(
    f"the {colour} cat {verb} a mat" for colour in ("red", "blue", "old") for verb in ("sees", "wants") * 40
)


@pytest.fixture
def tiny(tmp_path: Path, tiny_text: str) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(tiny_text)
    return str(path)


@pytest.fixture
def settings(tiny: str) -> CampaignSettings:
    return CampaignSettings(space=tiny, tasks="sst2", budget=3, parallel=1)


def write_task(folder: Path, task: str = "sst2", label: object = 1, fields: tuple[str, ...] = ("sentence",)) -> Path:
    """One task in the layout of GLUE."""
    (folder / task).mkdir(parents=True)
    rows = [{field: f"good text {row}" for field in fields} | {"label": row % 2} for row in range(6)]
    for split in ("train", "validation"):
        rows[3]["label"] = label if split == "validation" else 1  # type: ignore[assignment]
        (folder / task / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# Refusals


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "flexibert_mni"}, r"space: must be one of .*got 'flexibert_mni'\. Did you mean 'flexibert_mini'\?"),
        ({"budget": 0}, r"--budget: must be at least 1, got 0\."),
        ({"budget": -3}, r"--budget: must be at least 1, got -3\."),
        ({"initial": 0}, r"--initial: must be at least 1, got 0\."),
        ({"parallel": 0}, r"--parallel: must be at least 1, got 0\."),
        ({"pretrain_steps": 0}, r"--pretrain-steps: must be at least 1, got 0\."),
        ({"finetune_steps": 0}, r"--finetune-steps: must be at least 1, got 0\."),
        ({"max_failures": -1}, r"--max-failures: must be at least 0, got -1\."),
        ({"seed": -1}, r"--seed: must be at least 0, got -1\."),
        ({"max_hours": 0.0}, r"--max-hours: must be above 0, got 0\.0\."),
        ({"max_hours": float("nan")}, r"--max-hours: must be above 0, got nan\."),
        ({"surrogate": "boshnass"}, r"--surrogate: must be one of boshnas, gp, random, got 'boshnass'"),
        ({"tasks": "sst"}, r"task: must be one of .*got 'sst'\. Did you mean 'sst2'\?"),
        ({"tasks": ","}, "must name at least one task"),
        ({"data": "no_such_folder"}, r"--data: must be 'demo', 'glue' or a folder, got 'no_such_folder'"),
        ({"corpus": "no_such_text"}, r"no_such_text: no such file or folder"),
        ({"recipe": "dmo"}, r"recipe: must be one of .*demo.*got 'dmo'"),
        ({"constraints": ("params=12e6",)}, r"constraint: must have the form 'params<=12e6', got 'params=12e6'"),
        ({"constraints": ("params<=1e",)}, r"constraint: the limit must be a number, got '1e'"),
        (
            {"constraints": ("flop<=1e9",)},
            r"constraint: quantity must be one of params, flops, layers, got 'flop'. Did you mean 'flops'",
        ),
        ({"constraints": ("params<=10",)}, "--constraint: no architecture of level 1 is within the limits"),
        (
            {"baselines": "bert_minni"},
            r"architecture: must be one of .*bert_mini.*got 'bert_minni'. Did you mean 'bert_mini'",
        ),
    ],
)
def test_check_refuses(settings: CampaignSettings, changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message) as caught:
        check(replace(settings, **changes))
    assert type(caught.value).__name__ == "InputError"
    assert "\n" not in str(caught.value)


def test_every_candidate_has_a_figure_of_its_memory(settings: CampaignSettings):
    campaign = check(settings)
    first, *_, last = campaign.source.pool.ids
    for id_ in (first, last):
        expected = job_memory(campaign.training.worker)(campaign.source.architectures[id_])
        assert campaign.source.describe(id_).memory_bytes == expected > 0


def test_check_refuses_a_folder_without_tasks(settings: CampaignSettings, tmp_path: Path):
    (tmp_path / "data" / "sst2").mkdir(parents=True)
    with pytest.raises(ValueError, match="must hold a folder for at least one of cola, .*it holds none"):
        check(replace(settings, data=str(tmp_path / "data")))


def test_check_refuses_a_task_that_the_folder_lacks(settings: CampaignSettings, tmp_path: Path):
    write_task(tmp_path / "data")
    with pytest.raises(ValueError, match=r"--tasks: .* does not have cola, rte; it has sst2\."):
        check(replace(settings, data=str(tmp_path / "data"), tasks="cola,sst2,rte"))


@pytest.mark.parametrize("label", [2, -1, "1", None, 0.5, True])
def test_check_refuses_a_label_outside_the_codes(settings: CampaignSettings, tmp_path: Path, label: object):
    write_task(tmp_path / "data", label=label)
    message = r"validation\.jsonl: row 4: label of sst2 must be one of 0 \(negative\), 1 \(positive\), got "
    with pytest.raises(ValueError, match=message):
        check(replace(settings, data=str(tmp_path / "data")))


def test_check_refuses_a_missing_column(settings: CampaignSettings, tmp_path: Path):
    write_task(tmp_path / "data", fields=("text",))
    with pytest.raises(ValueError, match=r"train\.jsonl: row 1 has no 'sentence'; it has text, label"):
        check(replace(settings, data=str(tmp_path / "data")))


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("warmup_steps: 2, vocab_size: 300, weight_dcay: 0.1", r"'weight_dcay' \(did you mean 'weight_decay'\?\)"),
        ("warmup_steps: 2, vocab_size: 100", "vocab_size: Input should be greater than or equal to 261, got 100"),
    ],
)
def test_check_refuses_a_recipe_file(settings: CampaignSettings, tmp_path: Path, rest: str, message: str):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE % rest)
    with pytest.raises(ValueError, match=message):
        check(replace(settings, recipe=str(path)))


def test_check_refuses_a_recipe_without_a_length(settings: CampaignSettings, tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    path.write_text("warmup_steps: 2")
    with pytest.raises(
        ValueError, match=r"recipe\.yaml must name max_steps for a search\. Add it, or --pretrain-steps"
    ):
        check(replace(settings, recipe=str(path)))
    assert check(replace(settings, recipe=str(path), pretrain_steps=9)).training.worker.pretrain.max_steps == 9


def test_check_refuses_a_recipe_with_longer_blocks_than_the_model_has_positions(
    settings: CampaignSettings, tmp_path: Path
):
    path = tmp_path / "recipe.yaml"
    path.write_text((RECIPE % "warmup_steps: 2, vocab_size: 300").replace("length: 16", "length: 1024"))
    with pytest.raises(ValueError, match="max_seq_length must be at most 512, got 1024"):
        check(replace(settings, recipe=str(path)))


def test_check_writes_nothing(settings: CampaignSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    before = digest(tmp_path)
    check(settings)
    assert digest(tmp_path) == before


# Defaults


def test_the_demo_has_four_tasks_no_baselines_and_says_demo(tiny: str):
    campaign = check(CampaignSettings(space=tiny))
    assert [task.name for task in campaign.training.tasks] == ["cola", "sst2", "mrpc", "stsb"]
    assert campaign.baselines == {}
    assert campaign.score_name == "demo GLUE score"
    assert campaign.training.worker.data == "demo"
    assert campaign.training.worker.dropout == 0.0
    assert campaign.identity["corpus_paths"] == ["demo"]
    assert list(campaign.level_budgets) == [6, 4, 2]
    assert campaign.num_initial == 4


def test_a_folder_has_all_its_tasks_and_bert_mini(settings: CampaignSettings, tmp_path: Path):
    write_task(tmp_path / "data")
    write_task(tmp_path / "data", "rte", fields=("sentence1", "sentence2"))
    campaign = check(replace(settings, data=str(tmp_path / "data"), tasks=None))
    assert [task.name for task in campaign.training.tasks] == ["sst2", "rte"]
    assert set(campaign.training.absent_tasks) == {"cola", "mrpc", "stsb", "qqp", "mnli", "qnli", "wnli"}
    assert campaign.baselines == {"bert_mini": preset("bert_mini")}
    assert campaign.score_name == "GLUE score"
    assert campaign.training.worker.dropout == 0.1
    assert campaign.training.worker.finetune.num_train_epochs == 5
    assert campaign.identity["corpus_paths"] == []


def test_text_beside_the_tasks_is_the_corpus(settings: CampaignSettings, tmp_path: Path):
    folder = write_task(tmp_path / "data")
    (folder / "corpus").mkdir()
    (folder / "corpus" / "a.txt").write_text(TEXT)
    campaign = check(replace(settings, data=str(folder)))
    assert campaign.identity["corpus_paths"] == [str(folder / "corpus")]
    other = tmp_path / "other.txt"
    other.write_text(TEXT)
    assert check(replace(settings, data=str(folder), corpus=str(other))).identity["corpus_paths"] == [str(other)]


def test_the_corpus_of_the_recipe_comes_before_what_lies_around_and_after_what_is_asked_for(
    settings: CampaignSettings, tmp_path: Path
):
    folder = write_task(tmp_path / "data")
    for name in ("data/corpus", "mix", "asked"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(TEXT)
    recipe = tmp_path / "recipe.yaml"
    mix = f"corpus: [{{source: {tmp_path / 'mix'}, weight: 2}}, owner/name]"
    recipe.write_text("{" + f"{(RECIPE % 'warmup_steps: 2, vocab_size: 300').strip('{}')}, {mix}" + "}")
    with_recipe = replace(settings, data=str(folder), recipe=str(recipe))
    worker = check(with_recipe).training.worker
    assert worker.pretrain.corpus == (Source(source=str(tmp_path / "mix"), weight=2.0), Source(source="owner/name"))
    assert check(with_recipe).identity["corpus_paths"] == [str(tmp_path / "mix"), "owner/name"]
    asked = check(replace(with_recipe, corpus=str(tmp_path / "asked"))).training.worker
    assert asked.pretrain.corpus == (Source(source=str(tmp_path / "asked")),)


@pytest.mark.parametrize(("budget", "initial"), [(1, 1), (3, 1), (12, 4), (29, 9), (30, 10), (300, 10)])
def test_a_third_of_the_budget_is_random_at_most_ten(settings: CampaignSettings, budget: int, initial: int):
    assert check(replace(settings, budget=budget)).num_initial == initial
    assert check(replace(settings, budget=budget, initial=7)).num_initial == 7


@pytest.mark.parametrize(
    ("text", "names"), [("none", []), ("", []), ("bert_tiny, fnet_mini", ["bert_tiny", "fnet_mini"])]
)
def test_baselines_by_name(settings: CampaignSettings, text: str, names: list[str]):
    assert list(check(replace(settings, baselines=text)).baselines) == names


def test_steps_replace_the_recipes_and_warm_up_keeps_its_share(settings: CampaignSettings, tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    for warmup, expected in (("4", 2), ("0.2", 2), ("0.01", 1)):
        path.write_text(RECIPE % f"warmup_steps: {warmup}, vocab_size: 300")
        worker = check(replace(settings, recipe=str(path), pretrain_steps=10, finetune_steps=7)).training.worker
        assert (worker.pretrain.max_steps, worker.pretrain.warmup_steps) == (10, expected)
        assert worker.finetune.max_steps == 7


def test_constraints_limit_the_candidates(settings: CampaignSettings):
    campaign = check(replace(settings, constraints=("layers<=2", "params<=1e7")))
    ids = campaign.source.open_level(1, {})
    assert {len(campaign.source.architectures[id_].layers) for id_ in ids} == {2}


def test_params_of_counts_the_encoder(settings: CampaignSettings, tmp_path: Path):
    campaign = check(settings)
    id_ = campaign.source.open_level(1, {})[0]
    trial = SimpleNamespace(architecture=campaign.source.describe(id_).architecture)
    assert params_of(trial) == num_parameters(campaign.source.architectures[id_])  # type: ignore[arg-type]


# The run's folder


@pytest.fixture
def begun(settings: CampaignSettings, tmp_path: Path) -> Path:
    """The folder of a run that has been begun."""
    folder = tmp_path / "run"
    open_store(check(settings), folder, resume=False).close()
    return folder


def test_an_existing_folder_is_refused_and_left_alone(settings: CampaignSettings, begun: Path):
    (begun / "notes.txt").write_text("mine")
    before = digest(begun)
    with pytest.raises(ValueError, match=r"--out: .*run exists\. Give another folder, or --resume"):
        open_store(check(settings), begun, resume=False)
    assert digest(begun) == before


def test_a_folder_of_other_things_is_refused_and_left_alone(settings: CampaignSettings, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(ValueError, match=r"--out: .*mine exists"):
        open_store(check(settings), tmp_path / "mine", resume=False)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_file_is_refused_as_a_folder(settings: CampaignSettings, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"--out: .* is a file"):
        open_store(check(settings), tmp_path / "file", resume=False)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_may_be_used(settings: CampaignSettings, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with open_store(check(settings), tmp_path / "empty", resume=False) as store:
        assert store.trials() == []


@pytest.mark.parametrize("folder", ["absent", "empty"])
def test_only_a_run_can_be_resumed(settings: CampaignSettings, tmp_path: Path, folder: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"store\.db: store must be a file, got nothing"):
        open_store(check(settings), tmp_path / folder, resume=True)
    assert not (tmp_path / "absent").exists()


def test_the_identity_of_a_run_can_be_read_again(settings: CampaignSettings, begun: Path):
    campaign = check(settings)
    with open_store(campaign, begun, resume=True) as store:
        assert {name: store.identity[name] for name in campaign.identity} == campaign.identity
        assert store.identity["options"]["budget"] == 3  # type: ignore[call-overload, index]
        assert store.choices == campaign.space.parameter_choices()


@pytest.mark.parametrize(
    "changes", [{"budget": 9}, {"parallel": 2}, {"surrogate": "gp"}, {"max_hours": 1.0}, {"max_failures": 0}]
)
def test_budget_parallelism_surrogate_and_limits_may_change(
    settings: CampaignSettings, begun: Path, changes: dict[str, Any]
):
    with open_store(check(replace(settings, **changes)), begun, resume=True) as store:
        assert store.identity["seed"] == settings.seed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 3}, "was begun with seed 0, got 3"),
        ({"space": "flexibert_mini"}, "was begun with space '.*tiny.yaml', got 'flexibert_mini'"),
        ({"tasks": "cola"}, r"was begun with .*tasks.*sst2.*got .*cola"),
        ({"constraints": ("layers<=2",)}, r"was begun with constraints \[\], got \['layers <= 2'\]"),
        ({"baselines": "bert_tiny"}, r"was begun with baselines \[\], got \['bert_tiny'\]"),
        ({"pretrain_steps": 7}, r"was begun with .*max_steps\D*16, got .*7"),
        ({"finetune_steps": 7}, r"was begun with .*max_steps\D*36, got .*7"),
        ({"recipe": "cpu_small"}, r"was begun with .*(max_steps|batch_size|vocab_size|learning_rate)"),
    ],
)
def test_what_belongs_to_a_run_may_not_change(
    settings: CampaignSettings, begun: Path, changes: dict[str, Any], message: str
):
    before = digest(begun)
    with pytest.raises(ValueError, match=message):
        open_store(check(replace(settings, **changes)), begun, resume=True)
    assert digest(begun) == before


def test_a_space_file_that_was_edited_is_refused(settings: CampaignSettings, begun: Path, tiny_text: str):
    Path(settings.space).write_text(tiny_text.replace("[1, 2]", "[1, 3]"))
    with pytest.raises(ValueError, match="was begun with space_content"):
        open_store(check(settings), begun, resume=True)


def test_a_newer_store_is_refused(settings: CampaignSettings, begun: Path):
    study = optuna.load_study(study_name=STUDY_NAME, storage=f"sqlite:///{begun / STORE_FILE}")
    study.set_user_attr("schema_number", SCHEMA_NUMBER + 1)
    with pytest.raises(ValueError, match=r"schema_number of the store must be at most 2, got 3\. Update"):
        open_store(check(settings), begun, resume=True)


# Preparation


def prepared(settings: CampaignSettings, tmp_path: Path, **changes: Any) -> tuple[Campaign, Path]:
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE % "warmup_steps: 2, vocab_size: 300")
    campaign = check(replace(settings, **({"corpus": str(text), "recipe": str(recipe)} | changes)))
    folder = tmp_path / "prepared"
    folder.mkdir(exist_ok=True)
    campaign.training.prepare(folder)
    return campaign, folder


def test_prepare_writes_tokenizer_and_corpus(settings: CampaignSettings, tmp_path: Path):
    campaign, folder = prepared(settings, tmp_path)
    tokenizer = load_tokenizer(folder / campaign.training.worker.tokenizer)
    corpus = PackedCorpus.load(folder / campaign.training.worker.corpus)
    assert 261 < len(tokenizer) <= 300
    assert corpus.train.shape[1] == 16
    assert corpus.train.max() < len(tokenizer)
    text = tokenizer.decode(corpus.train[0], skip_special_tokens=True)
    assert "the red cat wants a mat" in text
    assert sorted(path.name for path in folder.iterdir()) == ["corpus", "tokenizer"]


def test_prepare_keeps_what_is_there_and_mends_what_was_cut_short(settings: CampaignSettings, tmp_path: Path):
    campaign, folder = prepared(settings, tmp_path)
    before = digest(folder)
    (tmp_path / "text.txt").write_text(TEXT.replace("cat", "dog"))
    campaign.training.prepare(folder)
    assert digest(folder) == before

    (folder / "corpus").rename(folder / ".corpus.partial")
    (folder / ".corpus.partial" / "rest").write_text("half")
    (tmp_path / "text.txt").write_text(TEXT)
    campaign.training.prepare(folder)
    assert digest(folder) == before


def test_without_a_corpus_the_tasks_own_training_text_is_used(settings: CampaignSettings, tmp_path: Path):
    data = write_task(tmp_path / "data")
    rows = [{"sentence": "a quite special zebra walks", "label": row % 2} for row in range(60)]
    (data / "sst2" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    campaign, folder = prepared(settings, tmp_path, data=str(data), corpus=None)
    corpus = PackedCorpus.load(folder / "corpus")
    text = load_tokenizer(folder / "tokenizer").decode(corpus.train.ravel())
    assert "zebra" in text
    assert "good text" not in text


# A whole search, its workers replaced by arithmetic


class KilledError(Exception):
    """Stands for a kill."""


class ArithmeticExecutor:
    """One slot; scores by the architecture alone, and dies at the poll it is told."""

    stop_at_poll: ClassVar[int | None] = None
    num_polls: ClassVar[int] = 0
    num_slots = 1

    def __init__(self, command: list[str], *, num_slots: int, **settings: object) -> None:
        assert num_slots == 1
        self._jobs: list[Job] = []

    def submit(self, job: Job, folder: Path) -> int:
        assert not self._jobs
        self._jobs.append(job)
        return job.number

    def poll(self) -> list[Result]:
        type(self).num_polls += 1
        if self.num_polls - 1 == self.stop_at_poll:
            raise KilledError
        jobs, self._jobs = self._jobs, []
        return [
            Result(number=job.number, id=job.id, status=Status.FINISHED, score=score_of(job.architecture))
            for job in jobs
        ]

    def __enter__(self) -> "ArithmeticExecutor":
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def score_of(model_dict: Mapping[str, Any]) -> float:
    architecture = Architecture.from_model_dict(model_dict)
    widths = [layer.hidden_size * (1 + len(layer.feed_forward)) for layer in architecture.layers]
    return float(np.mean(widths) + sum(layer.operation == "c" for layer in architecture.layers))


@pytest.fixture
def arithmetic(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[ArithmeticExecutor]]:
    monkeypatch.setattr("boshnas.executors.make.LocalExecutor", ArithmeticExecutor)
    monkeypatch.setattr(Training, "prepare", lambda training, folder: None)
    monkeypatch.setattr("boshnas.loop.POLL_SECONDS", 0.0)
    monkeypatch.setattr(ArithmeticExecutor, "num_polls", 0)
    return ArithmeticExecutor  # type: ignore[return-value]


def searched(settings: CampaignSettings, folder: Path, resume: bool = False) -> list[Trial]:
    campaign = check(settings)
    with open_store(campaign, folder, resume) as store:
        assert run(campaign, store, folder, SilentView()) is None
        return store.trials()


def test_a_search_walks_the_levels_and_trains_the_baselines_first(
    settings: CampaignSettings, tmp_path: Path, arithmetic: type[ArithmeticExecutor]
):
    wide = replace(settings, budget=8, surrogate="gp", baselines="bert_tiny")
    trials = searched(wide, tmp_path / "run")
    assert [trial.level for trial in trials] == [0, 1, 1, 1, 1, 1, 2, 2, 3]
    assert trials[0].id == preset("bert_tiny").id
    assert trials[0].proposal.decision is Decision.BASELINE
    assert len({trial.id for trial in trials}) == 9
    space = check(wide).space
    for trial in trials[1:]:
        assert space.refusal(Architecture.from_model_dict(trial.architecture), trial.level) is None


@pytest.mark.parametrize(
    ("surrogate", "several_stops"), [("random", [(2,), (8,), (10,), (7, 2)]), ("gp", [(10,), (7, 2)])]
)
def test_an_interrupted_search_ends_as_an_uninterrupted_one(
    settings: CampaignSettings,
    tmp_path: Path,
    arithmetic: type[ArithmeticExecutor],
    monkeypatch: pytest.MonkeyPatch,
    several_stops: list[tuple[int, ...]],
    surrogate: str,
):
    wide = replace(settings, budget=10, surrogate=surrogate)
    expected = searched(wide, tmp_path / "whole")
    assert [trial.level for trial in expected] == [1] * 6 + [2] * 3 + [3]
    for stops in several_stops:
        folder = tmp_path / f"cut{stops}"
        for part, stop in enumerate(stops):
            monkeypatch.setattr(arithmetic, "num_polls", 0)
            monkeypatch.setattr(arithmetic, "stop_at_poll", stop)
            with pytest.raises(KilledError):
                searched(wide, folder, resume=part > 0)
        monkeypatch.setattr(arithmetic, "stop_at_poll", None)
        assert searched(wide, folder, resume=True) == expected, f"interrupted at polls {stops}"


def test_one_search_a_folder_whether_new_or_resumed(tmp_path: Path, begun: Path):
    with (
        held_folder(begun, resume=True),
        pytest.raises(ValueError, match="must be used by one search at a time"),
        held_folder(begun, resume=True),
    ):
        pass
    with (
        held_folder(tmp_path / "new", resume=False),
        pytest.raises(ValueError, match="must be used by one search at a time"),
        held_folder(tmp_path / "new", resume=False),
    ):
        pass


def test_a_folder_in_which_another_search_was_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    @contextmanager
    def late_lock(folder: Path) -> Iterator[None]:
        (folder / STORE_FILE).write_text("of the other")
        yield

    monkeypatch.setattr("boshnas.run_folder.run_lock", late_lock)
    with pytest.raises(ValueError, match="exists"), held_folder(tmp_path / "new", resume=False):
        pass
    assert (tmp_path / "new" / STORE_FILE).read_text() == "of the other"


def test_a_discarded_folder_is_gone_and_what_a_link_leads_to_is_emptied(tmp_path: Path):
    for name in ("new", "scratch"):
        (tmp_path / name / "jobs").mkdir(parents=True)
        (tmp_path / name / STORE_FILE).touch()
    discard(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "link").symlink_to(tmp_path / "scratch")
    discard(tmp_path / "link")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_workers_run_on_this_machine(settings: CampaignSettings):
    campaign = check(settings)
    made = make_executor(campaign.executor, campaign.command, Path("run"), num_parallel=3, gpus=["0"])
    assert isinstance(made, LocalExecutor)
    assert made.num_slots == 3
    assert check(settings).num_parallel == 1
    assert check(replace(settings, parallel=None)).num_parallel >= 1


def test_restored_levels_are_those_of_the_search(tmp_path: Path):
    """Also where local search left the candidates of a level, whose best the next one opens around."""

    def made(number: int, level: int, id_: str, score: float) -> Trial:
        return Trial(
            number=number,
            proposal=Proposal(id=id_, decision=Decision.OPTIMISE),
            level=level,
            architecture=source.architectures[id_].to_model_dict(),
            parameters={},
            seed=0,
            status=Status.FINISHED,
            score=score,
        )

    space = DesignSpace.load("flexibert_mini")
    source = SpaceSource(space, 0)
    trials = [made(number, 1, id_, 50.0 + number) for number, id_ in enumerate(source.open_level(1, {})[:5])]
    candidates = source.open_level(2, {trial.id: trial.score or 0.0 for trial in trials})
    found = next(id_ for id_ in source.neighbors(candidates[:3]) if id_ not in set(candidates))
    trials.append(made(5, 2, found, 99.0))
    finest = source.open_level(3, {trial.id: trial.score or 0.0 for trial in trials})
    trials.append(made(6, 3, finest[0], 60.0))

    again = SpaceSource(space, 0)
    _restore(trials, again)
    assert again.open_level(3, {trial.id: trial.score or 0.0 for trial in trials[:-1]}) == finest
    searchers = [RandomSearcher(one.pool, seed=0, num_proposed=7) for one in (source, again)]
    for searcher in searchers:
        searcher.set_candidates(finest)
        searcher.tell({finest[0]: 60.0})
    assert searchers[0].ask(20) == searchers[1].ask(20)
