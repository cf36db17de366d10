"""What a worker needs: the larger of pre-training and fine-tuning, at the sizes of its settings."""

from typing import Any

import pytest

from boshnas import job_memory as module
from boshnas.job_memory import job_memory
from boshnas.worker.settings import FinetuneSettings, Settings
from design_space.architecture import Architecture, Layer
from pretrain.config import Recipe

TINY = Architecture((Layer("sa", "sdp", 32, 2, (64,)), Layer("l", "dct", 16, 2, (32, 32))))
WIDE = Architecture((Layer("sa", "sdp", 64, 2, (64,)), Layer("c", "5", 64, 2, (64,))))


def settings(pretrain_batch: int = 4, finetune_batch: int = 4, **recipe: Any) -> Settings:
    return Settings(
        data="demo",
        tasks=["sst2"],
        tokenizer="tokenizer",
        corpus="corpus",
        dropout=0.1,
        pretrain=Recipe(max_steps=1, per_device_train_batch_size=pretrain_batch, max_seq_length=32, **recipe),
        finetune=FinetuneSettings(per_device_train_batch_size=finetune_batch, max_seq_length=32),
    )


def test_is_the_larger_of_the_two_stages():
    least = job_memory(settings())(TINY)
    pretraining, finetuning = (
        job_memory(settings(pretrain_batch=64))(TINY),
        job_memory(settings(finetune_batch=64))(TINY),
    )
    assert least < finetuning < pretraining  # which has the scores of the vocabulary
    assert job_memory(settings(64, 64))(TINY) == pretraining
    assert job_memory(settings(4, 256))(TINY) > pretraining


def test_grows_with_architecture_and_vocabulary():
    assert job_memory(settings())(WIDE) > job_memory(settings())(TINY)
    more, fewer = (job_memory(settings(vocab_size=size))(TINY) for size in (20_000, 10_000))
    assert more - fewer >= 3 * 4 * 10_000 * 32  # weights and moments of an entry's vector


def test_an_architecture_is_reckoned_once(monkeypatch: pytest.MonkeyPatch):
    reckon = job_memory(settings())
    found = reckon(TINY)
    monkeypatch.setattr(module, "memory_bytes", None)  # which would fail if it were called again
    assert reckon(Architecture(TINY.layers)) == found
    with pytest.raises(TypeError):
        reckon(WIDE)
