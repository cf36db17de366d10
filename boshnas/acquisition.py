"""How much a candidate is worth measuring, from what is believed of it.

Functions of mean, epistemic and aleatoric std, tensors of shape (n,), that can be differentiated twice; all are to be
maximised. Each is the logarithm of a positive worth: a penalty is added to it, the logarithm of a cost subtracted.

Symbols: y* best value known, z = (mean − y*)/epistemic, φ and Φ density and distribution of the standard normal.
"""

import math
from collections.abc import Callable

import torch

from boshnas.ascent import RowFunction
from boshnas.errors import InputError
from boshnas.surrogates.base import Surrogate

Worth = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Log worth of mean, epistemic and aleatoric std, each (n,)."""

K1 = 0.1
"""Default weight of the aleatoric std: noise alone is a weak reason to measure."""
K2 = 1.0
"""Default weight of the epistemic std."""

_FAR = 1e3  # |z| beyond which the leading term of the tail is exact in double precision


def ucb(
    mean: torch.Tensor,
    epistemic_std: torch.Tensor,
    aleatoric_std: torch.Tensor,
    *,
    best: float,
    k1: float = K1,
    k2: float = K2,
) -> torch.Tensor:
    """Upper confidence bound mean + k1·aleatoric + k2·epistemic, above the best, as log softplus.

    Args:
        mean: Shape (n,), in units of the objective's spread.
        epistemic_std: Shape (n,), same unit.
        aleatoric_std: Shape (n,), same unit.
        best: y*.
        k1: Weight of the aleatoric std, >= 0.
        k2: Weight of the epistemic std, >= 0.

    Returns:
        Shape (n,): in the order of the bounds.

    Reference:
        Tuli, Dedhia, Tuli, Jha 2022, arXiv 2205.11656, section 3.3.
    """
    return _log_softplus(mean + k1 * aleatoric_std + k2 * epistemic_std - best)


def log_ei(
    mean: torch.Tensor, epistemic_std: torch.Tensor, aleatoric_std: torch.Tensor, *, best: float
) -> torch.Tensor:
    """Logarithm of the expected improvement E[max(f − y*, 0)], exact where the improvement itself underflows.

    Args:
        mean: Shape (n,).
        epistemic_std: Shape (n,), > 0.
        aleatoric_std: Not looked at: noise is no improvement.
        best: y*.

    Example:
        >>> zero, one = torch.zeros(1), torch.ones(1)
        >>> log_ei(zero, one, zero, best=0.0).exp()  # φ(0)
        tensor([0.3989])

    Reference:
        Ament, Daulton, Eriksson, Balandat, Bakshy 2023, arXiv 2310.20708, equation 9.
    """
    std = epistemic_std.clamp_min(1e-12)
    return std.log() + _log_improvement((mean - best) / std)


def log_noisy_ei(
    mean: torch.Tensor, epistemic_std: torch.Tensor, aleatoric_std: torch.Tensor, *, best: float
) -> torch.Tensor:
    """Expected improvement over a noisy best, times what one noisy measurement tells: 1 − a/√(e² + a²).

    Args:
        mean: Shape (n,).
        epistemic_std: e, shape (n,), > 0.
        aleatoric_std: a, shape (n,).
        best: Greatest mean among the measured candidates.

    Reference:
        Huang, Allen, Notz, Zeng 2006, Journal of Global Optimization 34, equation 11 (augmented expected improvement).
    """
    total = (epistemic_std.square() + aleatoric_std.square()).sqrt()
    # 1 − a/t = e²/(t(t + a)): no cancellation where e is small.
    told = 2 * epistemic_std.clamp_min(1e-12).log() - total.log() - (total + aleatoric_std).log()
    return log_ei(mean, epistemic_std, aleatoric_std, best=best) + told


def log_pi(
    mean: torch.Tensor, epistemic_std: torch.Tensor, aleatoric_std: torch.Tensor, *, best: float
) -> torch.Tensor:
    """Logarithm of the probability of improvement Φ(z), shape (n,)."""
    log_probability: torch.Tensor = torch.special.log_ndtr((mean - best) / epistemic_std.clamp_min(1e-12))
    return log_probability


def uncertainty(
    mean: torch.Tensor, epistemic_std: torch.Tensor, aleatoric_std: torch.Tensor, *, k1: float = K1, k2: float = K2
) -> torch.Tensor:
    """Logarithm of k1·aleatoric + k2·epistemic, shape (n,); the mean is not looked at."""
    return (k1 * aleatoric_std + k2 * epistemic_std).clamp_min(1e-300).log()


NAMES = ("log_ei", "log_noisy_ei", "log_pi", "ucb")
"""What `make` knows: functions of a belief."""

THOMPSON = "thompson"
"""What is no function of a belief, see `thompson`."""


def thompson(draw: RowFunction, *, best: float) -> RowFunction:
    """Log worth of features (n, d): a drawn function above the best value, as log softplus.

    Args:
        draw: One function that is as likely as the surrogate believes.
        best: y*.

    Reference:
        Thompson 1933, Biometrika 25; Kandasamy et al. 2018, arXiv 1705.09236 (one draw a proposal in flight).
    """
    return lambda X: _log_softplus(draw(X) - best)


def of_rows(worth: Worth, surrogate: Surrogate) -> RowFunction:
    """Log worth of features (n, d), shape (n,), under a surrogate; where no gradient is recorded by its faster path."""

    def value(X: torch.Tensor) -> torch.Tensor:
        return worth(*(surrogate.predict_warped(X) if torch.is_grad_enabled() else surrogate.predict_pool(X)))

    return value


def make(name: str, *, best: float, best_mean: float, k1: float, k2: float) -> Worth:
    """An acquisition by its name.

    Args:
        name: Of `NAMES`.
        best: Greatest measured value.
        best_mean: Greatest mean of a measured candidate.
        k1: Weight of the aleatoric std, for the bound.
        k2: Weight of the epistemic std, for the bound.

    Raises:
        InputError: If there is none of that name.
    """
    known: dict[str, Worth] = {
        "log_ei": lambda *belief: log_ei(*belief, best=best),
        "log_noisy_ei": lambda *belief: log_noisy_ei(*belief, best=best_mean),
        "log_pi": lambda *belief: log_pi(*belief, best=best),
        "ucb": lambda *belief: ucb(*belief, best=best, k1=k1, k2=k2),
    }
    if name not in known:
        raise InputError(f"acquisition: must be one of {', '.join(known)}, got {name!r}. Choose one.")
    return known[name]


def _log_softplus(gain: torch.Tensor) -> torch.Tensor:
    """Log softplus(x), which is x itself far below 0, where softplus underflows."""
    return torch.where(gain < -30, gain, torch.nn.functional.softplus(gain.clamp_min(-30)).log())


def _log_improvement(z: torch.Tensor) -> torch.Tensor:
    """log(φ(z) + zΦ(z)), in three pieces."""
    near = z.clamp_min(-1)
    tail = -z.clamp(-_FAR, -1)
    far = -z.clamp_max(-_FAR)
    log_density = -0.5 * z.square() - 0.5 * math.log(2 * math.pi)
    by_hand = (torch.exp(-0.5 * near.square()) / math.sqrt(2 * math.pi) + near * torch.special.ndtr(near)).log()
    by_ratio = log_density + torch.log1p(-math.sqrt(math.pi / 2) * tail * torch.special.erfcx(tail / math.sqrt(2)))
    leading = log_density - 2 * far.log()
    return torch.where(z > -1, by_hand, torch.where(z > -_FAR, by_ratio, leading))
