"""Each document once: order kept, any number of batches, little memory."""

import numpy as np
import pytest

from pretrain import distinct as module
from pretrain.distinct import content_hash, distinct


def test_the_hash_is_that_of_blake2b_with_eight_bytes():
    # b2sum -l 64 of the byte "a"
    assert content_hash("a") == int("40f89e395b66422f", 16)
    assert 0 <= content_hash("") < 2**64


@pytest.mark.parametrize("batch", [1, 2, 7, 1_024])
def test_first_ones_stay_in_their_order(monkeypatch: pytest.MonkeyPatch, batch: int):
    monkeypatch.setattr(module, "_BATCH", batch)
    rng = np.random.default_rng(batch)
    documents = [str(number) for number in rng.integers(0, 500, 2_000)]
    assert list(distinct(documents)) == list(dict.fromkeys(documents))
    assert list(distinct([])) == []


def test_a_document_differs_by_its_smallest_part():
    assert list(distinct(["a", "A", "a ", "a"])) == ["a", "A", "a "]


def test_a_hundred_thousand_hashes_take_eight_bytes_each():
    seen = module._Seen()
    for start in range(0, 100_000, 1_000):
        assert seen.add(np.arange(start, start + 1_000, dtype=np.uint64) * np.uint64(2**40)).all()
    assert sum(run.nbytes for run in seen._runs) == 800_000
    assert len(seen._runs) <= 18
    assert not seen.add(np.arange(50_000, dtype=np.uint64) * np.uint64(2**40)).any()
