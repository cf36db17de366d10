from typing import Any

import pytest
import torch

from boshnas.surrogates.npn import NPNSurrogate
from boshnas.surrogates.training import adam, pack, unpack


def test_unpack_undoes_pack_for_every_member() -> None:
    arrays = [torch.arange(6.0).view(2, 3), torch.ones(1, 3)]
    for array, members in zip(arrays, unpack(pack(arrays, 4), [(2, 3), (1, 3)]), strict=True):
        assert members.shape == (4, *array.shape)
        assert members.eq(array).all()


def test_adam_reaches_the_minimum_and_leaves_its_start() -> None:
    start = torch.zeros(2, 3, dtype=torch.float64)
    end = adam(lambda p: (p - 1.5).square().sum(), start, num_steps=300, learning_rate=0.05)
    torch.testing.assert_close(end, torch.full_like(end, 1.5), atol=1e-3, rtol=0)
    assert start.eq(0).all()


def test_surrogates_compute_on_one_thread_and_give_the_others_back() -> None:
    before = torch.get_num_threads()
    seen = []

    class Watched(NPNSurrogate):
        def _fit(self, *args: Any) -> None:
            seen.append(torch.get_num_threads())
            super()._fit(*args)

    torch.set_num_threads(2)
    try:
        Watched(num_steps=2, random_state=0).fit([[0.0], [1.0]], [0.0, 1.0])
        with pytest.raises(ValueError, match="NaN"):
            Watched().fit([[0.0], [float("nan")]], [0.0, 1.0])
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    assert (seen, after) == ([1], 2)
