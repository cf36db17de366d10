from typing import Any

import pytest
import torch

from boshnas.surrogates.npn import NPNSurrogate
from boshnas.surrogates.training import adam, autograd, in_blocks, num_parameters, unpack


def test_unpack_gives_every_members_arrays() -> None:
    flat = torch.arange(18.0).view(2, 9)
    first, second = unpack(flat, [(2, 3), (1, 3)])
    assert num_parameters([(2, 3), (1, 3)]) == 9
    assert first.tolist() == [[[0, 1, 2], [3, 4, 5]], [[9, 10, 11], [12, 13, 14]]]
    assert second.tolist() == [[[6, 7, 8]], [[15, 16, 17]]]


def test_adam_reaches_the_minimum_and_leaves_its_start() -> None:
    start = torch.zeros(2, 3, dtype=torch.float64)
    end = adam(autograd(lambda p: (p - 1.5).square().sum()), start, num_steps=300, learning_rate=0.05)
    torch.testing.assert_close(end, torch.full_like(end, 1.5), atol=1e-3, rtol=0)
    assert start.eq(0).all()


@pytest.mark.parametrize("num_rows", [1, 5000, 70_000])  # one block, several, several threads
def test_blocks_come_back_in_order_and_without_gradients(num_rows: int) -> None:
    X = torch.arange(2.0 * num_rows, requires_grad=True).view(num_rows, 2)
    threads = torch.get_num_threads()
    values = in_blocks(lambda rows: torch.stack([rows.sum(1), -rows[:, 0]]), X)
    assert torch.equal(values, torch.stack([X.detach().sum(1), -X.detach()[:, 0]]))
    assert not values.requires_grad
    assert torch.get_num_threads() == threads


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
