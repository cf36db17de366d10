import numpy as np
import pytest
import torch

from boshnas.surrogates.process import Process
from boshnas.surrogates.repeats import Measurements, gather


def data(num_rows: int = 12) -> Measurements:
    rng = np.random.default_rng(0)
    return gather(rng.random((num_rows, 2)), rng.normal(size=num_rows), None, 1e-6)


def fitted(measured: Measurements) -> Process:
    return Process.fit(measured, None, max_steps=20, start=None, generator=torch.Generator())


def without_first(measured: Measurements) -> Measurements:
    parts = (measured.X, measured.y, measured.count, measured.scatter, measured.variance)
    return Measurements(*(part[1:] for part in parts))


def test_left_out_rows_are_predicted_as_by_a_process_without_them() -> None:
    measured = data()
    full = fitted(measured)
    rest = Process.condition(without_first(measured), full.theta, full.kernel, full.noise)
    mean, variance = rest.moments(measured.X[:1])
    assert full.held_out[0][0].item() == pytest.approx(mean.item(), abs=0.1)  # but for the constant
    assert full.held_out[1][0].item() == pytest.approx(variance.item() + full.noise, rel=1e-6)


def test_repeats_count_as_one_row_of_less_noise() -> None:
    X, y = np.zeros((9, 1)), np.arange(9.0)
    together = gather(X, y, None, 1e-6)
    process = fitted(gather(np.array([[0.0], [1.0]]), np.zeros(2), None, 1e-6))
    _, variance = Process.condition(together, process.theta, process.kernel, process.noise).moments(together.X)
    prior = process.kernel.diagonal(together.X).item()
    assert variance.item() == pytest.approx(1 / (1 / prior + 9 / process.noise), rel=1e-6)


def test_many_rows_still_condition() -> None:
    process = fitted(data(600))
    assert len(process.rows) == 600
    assert process.moments(process.rows)[0].isfinite().all()


def test_draws_have_the_moments_of_the_posterior() -> None:
    measured = data(10)
    process = fitted(measured)
    rows = torch.cat(
        [measured.X[:3], torch.rand(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))]
    )
    generator = torch.Generator().manual_seed(1)
    draws = torch.stack([process.draw(generator)(rows) for _ in range(3000)])
    mean, variance = process.moments(rows)
    torch.testing.assert_close(draws.mean(0), mean, atol=0.06, rtol=0)
    torch.testing.assert_close(draws.var(0), variance, atol=0.03, rtol=0.15)
