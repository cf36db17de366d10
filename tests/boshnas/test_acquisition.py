import mpmath
import pytest
import torch

from boshnas import acquisition
from boshnas.errors import InputError


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("z", [3.0, 0.0, -0.9, -1.1, -5.0, -40.0, -900.0, -2e3, -1e6])
def test_log_ei_is_exact_far_beyond_underflow(z: float) -> None:
    mpmath.mp.dps = 60
    exact = mpmath.log(mpmath.npdf(z) + z * mpmath.ncdf(z)) + mpmath.log(2)
    assert acquisition.log_ei(tensor(5 + 2 * z), tensor(2.0), tensor(0.0), best=5.0).item() == pytest.approx(
        float(exact), rel=1e-9
    )


@pytest.mark.parametrize("name", acquisition.NAMES)
def test_a_better_mean_is_worth_more(name: str) -> None:
    worth = acquisition.make(name, best=1.0, best_mean=1.0, k1=0.1, k2=1.0)
    mean = torch.linspace(-50, 5, 40, dtype=torch.float64)
    values = worth(mean, torch.full_like(mean, 0.5), torch.full_like(mean, 0.2))
    assert (values.diff() > 0).all()


@pytest.mark.parametrize("name", ["log_ei", "log_noisy_ei", "ucb"])
def test_what_is_less_known_is_worth_more(name: str) -> None:
    worth = acquisition.make(name, best=1.0, best_mean=1.0, k1=0.1, k2=1.0)
    std = torch.linspace(0.01, 3, 40, dtype=torch.float64)
    assert (worth(torch.zeros_like(std), std, torch.full_like(std, 0.2)).diff() > 0).all()


@pytest.mark.parametrize("name", acquisition.NAMES)
@pytest.mark.parametrize("mean", [-30.0, -2.0, 0.5, 4.0])
def test_gradients_are_the_finite_differences_twice(name: str, mean: float) -> None:
    worth = acquisition.make(name, best=1.0, best_mean=0.7, k1=0.1, k2=1.0)
    belief = [tensor(value).requires_grad_(True) for value in (mean, 0.6, 0.3)]
    assert torch.autograd.gradcheck(worth, belief)
    assert torch.autograd.gradgradcheck(worth, belief)


def test_bound_by_hand_and_its_order_far_below_the_best() -> None:
    kwargs = {"best": 0.0, "k1": 1.0, "k2": 2.0}
    bound = acquisition.ucb(tensor(1.0), tensor(0.2), tensor(0.5), **kwargs)  # 1 + 0.5 + 0.4
    torch.testing.assert_close(bound, torch.nn.functional.softplus(tensor(1.9)).log())
    far = acquisition.ucb(tensor(-5e3, -4e3), tensor(0.1, 0.1), tensor(0.1, 0.1), **kwargs)
    assert far[0] < far[1]


def test_noise_makes_a_measurement_worth_less() -> None:
    quiet, loud = (acquisition.log_noisy_ei(tensor(0.0), tensor(1.0), tensor(a), best=0.0) for a in (0.0, 3.0))
    torch.testing.assert_close(quiet, acquisition.log_ei(tensor(0.0), tensor(1.0), tensor(0.0), best=0.0))
    torch.testing.assert_close(loud - quiet, tensor(1 - 3 / 10**0.5).log())


def test_uncertainty_is_the_weighted_sum() -> None:
    torch.testing.assert_close(
        acquisition.uncertainty(tensor(9.0), tensor(0.2), tensor(0.5), k1=1.0, k2=2.0), tensor(0.9).log()
    )


def test_probability_of_improvement_by_hand() -> None:
    torch.testing.assert_close(acquisition.log_pi(tensor(1.0), tensor(2.0), tensor(0.0), best=1.0), tensor(0.5).log())


def test_unknown_name() -> None:
    with pytest.raises(InputError, match="must be one of log_ei, log_noisy_ei, log_pi, ucb, got 'ei'"):
        acquisition.make("ei", best=0.0, best_mean=0.0, k1=0.0, k2=0.0)
