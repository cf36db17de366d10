import math

import pytest
import torch

from boshnas.surrogates.kernel import Kernel, group_numbers, matern52


def tensor(*values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_matern_by_hand_and_at_zero() -> None:
    r = math.sqrt(5) * 0.5
    value = matern52(tensor(0.25, 0.0))
    assert value[0].item() == pytest.approx((1 + r + r * r / 3) * math.exp(-r), abs=1e-9)
    assert value[1].item() == pytest.approx(1.0, abs=1e-9)


def test_two_parts_by_hand() -> None:
    kernel = Kernel(tensor(0.5, 0.0), 2.0, 3.0, tensor(1.0, 1.0), 4.0)
    a, b = tensor([3.0, 2.0]), tensor([1.0, 5.0])
    expected = 2 * matern52(tensor(1.0)) + 3 / 4 * (2 * 0 + 1 * 4)
    torch.testing.assert_close(kernel(a, b)[0], expected)
    torch.testing.assert_close(kernel(a, a)[0], kernel.diagonal(a))


def test_all_categories_are_equally_far_apart() -> None:
    one_hot = torch.eye(4, dtype=torch.float64)
    K = Kernel(torch.ones(4, dtype=torch.float64), 1.0, 0.0, torch.zeros(4, dtype=torch.float64), 1.0)(one_hot, one_hot)
    off = K[~torch.eye(4, dtype=torch.bool)]
    assert off.max() - off.min() < 1e-12


def test_groups_are_numbered_without_gaps() -> None:
    assert group_numbers((5, 2, 5, 9), 4).tolist() == [1, 0, 1, 2]
    assert group_numbers(None, 3).tolist() == [0, 1, 2]
