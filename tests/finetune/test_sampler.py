"""The stratified order: every row once, labels in their shares in every batch, another order each epoch."""

import numpy as np
import pytest

from finetune.checkpoint import load_checkpoint
from finetune.sampler import StratifiedSampler
from finetune.tasks import GLUE
from finetune.trainer import TaskTrainer

LABELS = np.random.default_rng(3).permutation(np.repeat([0, 1, 2], [100, 300, 50]))


@pytest.mark.parametrize("labels", [LABELS, np.linspace(0, 5, 37), [1.0], [4, 4, 4]])
def test_every_row_is_read_once_an_epoch(labels):
    sampler = StratifiedSampler(labels, seed=0)
    order = list(sampler)
    assert len(sampler) == len(labels)
    assert sorted(order) == list(range(len(labels)))
    assert all(type(row) is int for row in order)


@pytest.mark.parametrize("size", [18, 45, 90])
def test_a_batch_holds_the_labels_in_their_shares(size: int):
    order = LABELS[list(StratifiedSampler(LABELS, seed=1))]
    batches = order.reshape(-1, size)
    for label, share in enumerate((100 / 450, 300 / 450, 50 / 450)):
        assert np.abs((batches == label).sum(axis=1) - share * size).max() < 1 + 1e-9


def test_each_epoch_has_an_order_of_its_own_that_the_seed_repeats():
    def orders(seed: int) -> list[list[int]]:
        sampler = StratifiedSampler(LABELS, seed)
        made = []
        for epoch in range(3):
            sampler.set_epoch(epoch)
            made.append(list(sampler))
        return made

    first = orders(7)
    assert first == orders(7)
    assert first[0] != first[1] != first[2] != first[0]
    assert first[0] != orders(8)[0]


def test_rows_of_one_label_are_shuffled_uniformly():
    # Place of row 0 among 10 rows of one label, over seeds: each of 10 places about 200 times (chi-squared, 9 degrees).
    places = [list(StratifiedSampler([0] * 10, seed)).index(0) for seed in range(2000)]
    counts = np.bincount(places, minlength=10)
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # p = 0.001


def test_the_trainer_reads_in_this_order_where_asked(checkpoint, arguments):
    model, _ = load_checkpoint(checkpoint, GLUE["mnli"])
    rows = [{"input_ids": [1, 2], "labels": int(label)} for label in LABELS]

    def epochs(**kwargs) -> list[list[int]]:
        trainer = TaskTrainer(model=model, args=arguments(**kwargs), train_dataset=rows, score=lambda outputs: {})
        loader = trainer.get_train_dataloader()
        made = []
        for epoch in range(2):
            loader.set_epoch(epoch)
            made.append([int(label) for batch in loader for label in batch["labels"]])
        return made

    first, second = epochs(train_sampling_strategy="stratified", per_device_train_batch_size=18)
    assert np.abs((np.array(first).reshape(-1, 18) == 1).sum(axis=1) - 12).max() <= 1
    assert first != second
    plain = np.array(epochs(train_sampling_strategy="random", per_device_train_batch_size=18)[0]).reshape(-1, 18)
    assert np.abs((plain == 1).sum(axis=1) - 12).max() > 1
