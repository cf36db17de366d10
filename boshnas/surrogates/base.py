"""The contract of all surrogates, and what they share: checks, scaling, units, seeds.

Symbols: n rows, d features. Inside a surrogate every feature and the objective are standardised over the rows of
`fit`; what leaves it is in the objective's own unit.
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from boshnas.errors import InputError
from boshnas.posterior import Posterior
from boshnas.surrogates.training import one_thread

Moments = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Mean, epistemic and aleatoric standard deviation, each shape (n,)."""

_BLOCK = 4096  # rows predicted at once: bounds the memory over large pools


class Surrogate(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor that tells its two uncertainties apart and can be differentiated in its input.

    A subclass writes `_fit` and `_predict` in standardised units.

    Attributes:
        x_offset_: What each feature is shifted by, shape (d,).
        x_scale_: What it is divided by, shape (d,); 1 where a feature is constant.
        y_offset_: Mean of the objective.
        y_scale_: Its standard deviation; 1 where it is constant.
    """

    random_state: int | None = None

    @one_thread()
    def fit(self, X: ArrayLike, y: ArrayLike, noise_std: ArrayLike | None = None) -> Self:
        """Learn from measured rows; forgets what it learned before.

        Args:
            X: Features, shape (n, d), finite, n >= 1.
            y: Objective, shape (n,), any unit.
            noise_std: Known standard deviation of each y, same unit, shape (n,), >= 0; NaN where unknown.

        Returns:
            Itself.

        Raises:
            ValueError: If X or y is malformed, or noise_std is negative or of another length.
        """
        self._fit(*self._standardised(X, y, noise_std))
        return self

    def posterior(self, X: ArrayLike) -> Posterior:
        """Belief about rows, shape (n, d); memory is bounded for any n."""
        check_is_fitted(self)
        rows = torch.tensor(validate_data(self, X, dtype=np.float64, reset=False))
        with torch.no_grad():
            blocks = [self.posterior_tensors(block) for block in torch.split(rows, _BLOCK)]
        mean, epistemic, aleatoric = (torch.cat(parts).numpy() for parts in zip(*blocks, strict=True))
        return Posterior(mean, epistemic, aleatoric)

    def predict(
        self, X: ArrayLike, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Expected objective, shape (n,); with `return_std` also the deviation of one new measurement."""
        posterior = self.posterior(X)
        return (posterior.mean, posterior.std) if return_std else posterior.mean

    def posterior_tensors(self, X: torch.Tensor) -> Moments:
        """The same belief as tensors that autograd can differentiate twice in X.

        Args:
            X: Features, shape (n, d), float64.

        Returns:
            Mean, epistemic std and aleatoric std, each (n,) float64, in the objective's own unit.
        """
        return self._in_own_unit(*self._predict(self._scaled(X)))

    def cross_fit(
        self, X: ArrayLike, y: ArrayLike, folds: NDArray[np.intp], noise_std: ArrayLike | None = None
    ) -> Posterior:
        """`fit`, and the belief about each row of a copy that was fitted without the row's fold.

        Args:
            X: Features, shape (n, d).
            y: Objective, shape (n,).
            folds: Fold of each row, shape (n,); at least two distinct.
            noise_std: As in `fit`.

        Returns:
            Out-of-sample belief, shape (n,).
        """
        rows, values = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
        noise = None if noise_std is None else np.asarray(noise_std, dtype=np.float64)
        moments = np.empty((3, len(values)))
        for fold in np.unique(folds):
            out = folds == fold
            copy = clone(self).fit(rows[~out], values[~out], None if noise is None else noise[~out])
            belief = copy.posterior(rows[out])
            moments[:, out] = belief.mean, belief.epistemic_std, belief.aleatoric_std
        self.fit(rows, values, noise)
        return Posterior(*moments)

    def _fit(self, X: torch.Tensor, y: torch.Tensor, noise_std: torch.Tensor | None) -> None:
        """Learn from standardised X (n, d), y (n,) and the noise of each y."""
        raise NotImplementedError

    def _predict(self, X: torch.Tensor) -> Moments:
        """Belief about standardised X (n, d), in units of the standardised objective."""
        raise NotImplementedError

    def _standardised(
        self, X: ArrayLike, y: ArrayLike, noise_std: ArrayLike | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Checked X (n, d), y (n,) and noise (n,) in standard units; sets the scales."""
        rows, values = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        values = np.asarray(values, dtype=np.float64)
        self._set_scales(rows, values)
        noise = None if noise_std is None else torch.tensor(_checked_noise(noise_std, len(values)) / self.y_scale_)
        return self._scaled(torch.tensor(rows)), torch.tensor((values - self.y_offset_) / self.y_scale_), noise

    def _in_own_unit(self, mean: torch.Tensor, epistemic: torch.Tensor, aleatoric: torch.Tensor) -> Moments:
        return self.y_offset_ + self.y_scale_ * mean, self.y_scale_ * epistemic, self.y_scale_ * aleatoric

    def _set_scales(self, X: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        self.x_offset_, self.x_scale_ = X.mean(axis=0), _spread(X)
        self.y_offset_, self.y_scale_ = float(y.mean()), float(_spread(y))

    def _scaled(self, X: torch.Tensor) -> torch.Tensor:
        return (X - torch.as_tensor(self.x_offset_)) / torch.as_tensor(self.x_scale_)

    def _generator(self) -> torch.Generator:
        """Randomness of one fit: a function of `random_state` alone, never the global state."""
        seed = np.random.SeedSequence(self.random_state).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(seed >> np.uint64(1)))


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation along axis 0, 1 where the values are constant up to rounding."""
    std = values.std(axis=0)
    return np.where(std <= 1e-12 * np.abs(values).max(axis=0), 1.0, std)


def _checked_noise(noise_std: ArrayLike, num_rows: int) -> NDArray[np.float64]:
    noise = np.asarray(noise_std, dtype=np.float64)
    if noise.shape != (num_rows,):
        raise InputError(f"fit: noise_std must have shape ({num_rows},), got {noise.shape}. Give one value a row.")
    if (noise < 0).any() or np.isinf(noise).any():
        raise InputError(
            f"fit: noise_std must be finite and >= 0, got {noise[(noise < 0) | np.isinf(noise)][0]!r}. "
            "Use NaN where the noise is unknown."
        )
    return noise


def kept_rows(folds: NDArray[np.intp]) -> torch.Tensor:
    """1 where member m trains on row i: all rows for the first, all but one fold for each other, shape (1 + K, n)."""
    kept = folds[None, :] != np.unique(folds)[:, None]
    return torch.tensor(np.concatenate([np.ones((1, len(folds)), dtype=bool), kept]), dtype=torch.float64)
