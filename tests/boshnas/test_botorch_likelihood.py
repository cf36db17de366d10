"""The written-out likelihood is BoTorch's own."""

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("botorch")
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.optim.closures import get_loss_closure_with_grads
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.errors import NotPSDError

from boshnas.baselines.botorch_likelihood import loss_closure


def likelihood(num_rows: int, num_features: int = 5, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    X = torch.tensor(rng.uniform(0, 1, (num_rows, num_features)))
    model = SingleTaskGP(X, (X.sin().sum(1) + 0.1 * torch.tensor(rng.standard_normal(num_rows)))[:, None])
    return ExactMarginalLogLikelihood(model.likelihood, model)


@pytest.mark.parametrize("num_rows", [2, 30, 100])
def test_value_and_gradient_are_those_of_botorch_wherever_the_parameters_are(num_rows: int) -> None:
    mll = likelihood(num_rows)
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in mll.parameters():
            parameter.add_(torch.rand(parameter.shape, generator=rng))
    expected, gradient = get_loss_closure_with_grads(mll, dict(mll.named_parameters()))()
    value, slopes = loss_closure(mll)()
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)  # gpytorch's prior of the noise is in float32
    for slope, theirs in zip(slopes, gradient, strict=True):
        torch.testing.assert_close(slope, theirs, atol=1e-7, rtol=0)


def test_the_gradient_is_the_slope_of_the_value() -> None:
    mll = likelihood(20)
    closure, scales = loss_closure(mll), mll.model.covar_module.raw_lengthscale
    _, gradient = closure()
    step = torch.zeros_like(scales)
    step[0, 2] = 1e-5
    with torch.no_grad():
        above = (scales.add_(step), closure()[0])[1]
        below = (scales.sub_(2 * step), closure()[0])[1]
    names = [name for name, _ in mll.named_parameters()]
    by_scale = gradient[names.index("model.covar_module.raw_lengthscale")]
    assert (above - below).item() / 2e-5 == pytest.approx(by_scale[0, 2].item(), rel=1e-6)


def test_a_fit_ends_where_that_of_botorch_ends() -> None:
    ours, theirs = likelihood(40), likelihood(40)
    fit_gpytorch_mll(ours, closure=loss_closure(ours))
    fit_gpytorch_mll(theirs)
    value = [loss_closure(mll)()[0].item() for mll in (ours, theirs)]
    assert value[0] == pytest.approx(value[1], abs=1e-4)


def test_a_covariance_that_cannot_be_factored_is_said_in_the_way_that_botorch_retries() -> None:
    mll = likelihood(5)
    with torch.no_grad():
        mll.likelihood.noise_covar.raw_noise.fill_(-5.0)
    with pytest.raises(NotPSDError, match="not positive definite"):
        loss_closure(mll)()
