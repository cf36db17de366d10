"""Checkpoints on the way, and runs that go on from them."""

import csv
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, PreTrainedTokenizerBase, set_seed

from design_space.architecture import Architecture, Layer
from design_space.errors import InputError
from design_space.model.presets import PRESETS
from pretrain.arguments import PretrainArguments
from pretrain.budget import Budget
from pretrain.checkpoints import checkpoints
from pretrain.corpus import PackedCorpus
from pretrain.identity import _models, identity, require_same
from pretrain.interrupt import StoppedError
from pretrain.train import PretrainResult, Run, build_model, pretrain
from pretrain.trainer import PretrainTrainer

TINY = Architecture((Layer("sa", "sdp", 32, 2, (64,)), Layer("c", "5", 32, 2, (64,))))
NUM_STEPS = 30


class Killed(BaseException):
    """What a kill leaves behind: nothing is tidied up."""


@pytest.fixture
def train(tokenizer: PreTrainedTokenizerBase, corpus: PackedCorpus) -> Callable[..., PretrainResult]:
    """Runner of a small pre-training with dropout and a checkpoint every five steps."""

    def run(
        folder: Path, resume: bool = True, kill_at: int | None = None, stop_at: int | None = None, **kwargs: Any
    ) -> PretrainResult:
        steps = {"save_strategy": "steps", "save_steps": 5, "logging_steps": 1, "per_device_train_batch_size": 8}
        settings = steps | {"learning_rate": 5e-3} | kwargs
        arguments = PretrainArguments(output_dir=str(folder), use_cpu=True, disable_tqdm=True, **settings)
        set_seed(arguments.seed)
        model = build_model(TINY, tokenizer, 64, hidden_dropout_prob=0.1)

        done = [0]

        def report(step: int, num_steps: int) -> None:
            done[0] = step
            if step == kill_at:
                raise Killed

        return pretrain(
            model,
            tokenizer,
            corpus,
            arguments,
            run=Run(budget=Budget(max_steps=NUM_STEPS), resume=resume, is_stop_wanted=lambda: done[0] == stop_at),
            report=report,
        )

    return run


def curve(folder: Path) -> dict[int, float]:
    """Loss by step."""
    with (folder / "learning_curve.csv").open(newline="") as file:
        return {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file) if row["loss"]}


def names(folder: Path) -> list[str]:
    return [path.name for path in checkpoints(folder)]


def test_a_run_that_is_killed_again_and_again_has_the_curve_of_one_that_is_not(
    train: Callable[..., PretrainResult], tmp_path: Path
):
    whole = train(tmp_path / "whole")
    for step in (7, 8, 13, 20, 29):
        with pytest.raises(Killed):
            train(tmp_path / "broken", kill_at=step)
    again = train(tmp_path / "broken")
    assert len(curve(tmp_path / "whole")) == NUM_STEPS
    assert curve(tmp_path / "broken") == pytest.approx(curve(tmp_path / "whole"), abs=1e-6)
    assert (again.loss, again.held_out_loss) == pytest.approx((whole.loss, whole.held_out_loss), abs=1e-6)
    assert (again.num_steps, again.num_tokens) == (whole.num_steps, whole.num_tokens)


@pytest.mark.parametrize("kwargs", [{"logging_steps": 1}, {"logging_steps": 4, "save_strategy": "no"}])
def test_a_run_that_is_stopped_goes_on_exactly(train: Callable[..., PretrainResult], tmp_path: Path, kwargs: dict):
    whole = train(tmp_path / "whole", **kwargs)
    for step in (7, 13):
        with pytest.raises(StoppedError) as caught:
            train(tmp_path / "broken", stop_at=step, **kwargs)
        assert caught.value.checkpoint == tmp_path / "broken" / f"checkpoint-{step}"
        assert list(curve(tmp_path / "broken"))[-1] == step
        assert not (tmp_path / "broken" / "result.json").exists()
    again = train(tmp_path / "broken", **kwargs)
    # The steps at which it was stopped are in the curve too, and the points after them are means of fewer steps.
    last = max(curve(tmp_path / "whole"))
    assert curve(tmp_path / "broken")[last] == pytest.approx(curve(tmp_path / "whole")[last], abs=1e-6)
    assert set(curve(tmp_path / "broken")) == set(curve(tmp_path / "whole")) | {7, 13}
    assert (again.loss, again.held_out_loss) == pytest.approx((whole.loss, whole.held_out_loss), abs=1e-6)
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("whole", "broken")]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=1e-6, rtol=0)


def test_the_curve_is_there_while_a_run_goes_and_has_no_row_twice(train: Callable[..., PretrainResult], tmp_path: Path):
    with pytest.raises(Killed):
        train(tmp_path, kill_at=8, eval_strategy="steps", eval_steps=2)
    rows = (tmp_path / "learning_curve.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", *map(str, range(1, 8))]
    train(tmp_path, eval_strategy="steps", eval_steps=2)
    header, *rows = (tmp_path / "learning_curve.csv").read_text().splitlines()
    assert [int(row.split(",")[0]) for row in rows] == list(range(1, NUM_STEPS + 1))
    assert [int(row.split(",")[0]) for row in rows if row.split(",")[3]] == list(range(2, NUM_STEPS + 1, 2))


@pytest.mark.parametrize(
    "kwargs", [{"gradient_accumulation_steps": 3}, {"logging_steps": 4}, {"dataloader_num_workers": 1}]
)
def test_other_settings_resume_exactly_too(train: Callable[..., PretrainResult], tmp_path: Path, kwargs: dict):
    train(tmp_path / "whole", **kwargs)
    with pytest.raises(Killed):
        train(tmp_path / "broken", kill_at=18, **kwargs)
    train(tmp_path / "broken", **kwargs)
    assert curve(tmp_path / "broken") == pytest.approx(curve(tmp_path / "whole"), abs=1e-6)


def test_without_a_checkpoint_a_resumed_run_begins(train: Callable[..., PretrainResult], tmp_path: Path):
    with pytest.raises(Killed):
        train(tmp_path, kill_at=3)
    assert names(tmp_path) == []
    assert train(tmp_path).num_steps == NUM_STEPS


def test_every_checkpoint_loads_and_the_oldest_are_pruned(train: Callable[..., PretrainResult], tmp_path: Path):
    train(tmp_path, save_total_limit=2)
    assert names(tmp_path) == ["checkpoint-25", "checkpoint-30"]
    for folder in (tmp_path, *checkpoints(tmp_path)):
        assert AutoModelForMaskedLM.from_pretrained(folder).num_parameters() > 0
    assert not (tmp_path / ".partial").exists()


@pytest.mark.parametrize("part", ["save_model", "_save_optimizer_and_scheduler", "_save_rng_state"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    train: Callable[..., PretrainResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
):
    original = getattr(PretrainTrainer, part)

    def full(self: PretrainTrainer, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if self.state.global_step == 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(PretrainTrainer, part, full)
        with pytest.raises(InputError, match=r"checkpoint of step 10 must be written, got: .*No space left"):
            train(tmp_path)
    assert names(tmp_path) == ["checkpoint-5"]
    assert not (tmp_path / ".partial").exists()
    assert train(tmp_path).num_steps == NUM_STEPS


def test_a_finished_model_that_cannot_be_written_says_so(
    train: Callable[..., PretrainResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    original = PretrainTrainer.save_model

    def full(self: PretrainTrainer, output_dir: str | None = None, _internal_call: bool = False) -> None:
        if not _internal_call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(self, output_dir, _internal_call)

    with monkeypatch.context() as patch:
        patch.setattr(PretrainTrainer, "save_model", full)
        with pytest.raises(InputError, match=r"finished model must be written, got: .*No space left"):
            train(tmp_path)
    assert not (tmp_path / "result.json").exists()
    assert train(tmp_path).num_steps == NUM_STEPS


@pytest.mark.parametrize(
    ("kwargs", "named"),
    [
        ({"learning_rate": 1e-3}, "learning_rate 0.005, got 0.001"),
        ({"per_device_train_batch_size": 4}, "per_device_train_batch_size 8, got 4"),
        ({"seed": 7}, "seed 42, got 7"),
    ],
)
def test_a_run_goes_on_with_what_it_was_begun_with(
    train: Callable[..., PretrainResult], tmp_path: Path, kwargs: dict, named: str
):
    with pytest.raises(Killed):
        train(tmp_path, kill_at=7)
    with pytest.raises(InputError, match=f"was begun with {named}"):
        train(tmp_path, **kwargs)


def test_another_model_or_corpus_is_refused(
    train: Callable[..., PretrainResult], tokenizer: PreTrainedTokenizerBase, corpus: PackedCorpus, tmp_path: Path
):
    with pytest.raises(Killed):
        train(tmp_path, kill_at=7)
    arguments = PretrainArguments(
        output_dir=str(tmp_path), use_cpu=True, per_device_train_batch_size=8, learning_rate=5e-3
    )
    run = Run(budget=Budget(max_steps=NUM_STEPS), resume=True)
    other = Architecture((Layer("sa", "wma", 32, 2, (64,)),))
    with pytest.raises(InputError, match="was begun with model of 2 layers, got one of 1"):
        pretrain(build_model(other, tokenizer, 64), tokenizer, corpus, arguments, run=run)
    shorter = PackedCorpus(corpus.train[:-1], corpus.held_out)
    with pytest.raises(InputError, match="was begun with corpus "):
        pretrain(build_model(TINY, tokenizer, 64), tokenizer, shorter, arguments, run=run)


def test_models_are_told_apart_in_few_words():
    presets = [PRESETS[name].to_model_dict() for name in ("bert_tiny", "bert_mini")]
    assert _models(*presets) == ("bert_tiny", "bert_mini")
    wider = Architecture((TINY.layers[0], Layer("c", "7", 32, 2, (64,)))).to_model_dict()
    assert _models(TINY.to_model_dict(), wider) == ("whose layer 1 has p = 5", "7")
    assert _models(None, wider) == ("of another form", "this one")


def test_the_corpus_is_named_before_the_tokenizer_that_is_made_from_it(
    tokenizer: PreTrainedTokenizerBase, corpus: PackedCorpus, tmp_path: Path
):
    arguments = PretrainArguments(output_dir=str(tmp_path), use_cpu=True)
    order = list(identity(build_model(TINY, tokenizer, 64), tokenizer, corpus.train, arguments, {}))
    assert order.index("corpus") < order.index("vocab_size") < order.index("tokenizer")


def test_another_length_comes_with_a_hint(tmp_path: Path):
    (tmp_path / "run.json").write_text('{"max_steps": 5}')
    with pytest.raises(InputError, match=r"max_steps 5, got 9\. .* longer by --model_dict .* --output_dir NEW"):
        require_same(tmp_path, {"max_steps": 9})
