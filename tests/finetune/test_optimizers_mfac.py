"""M-FAC steps along (λI + GᵀG / m)⁻¹ g, goes on from a saved state, and passes over what is no number."""

import io
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import Tensor, nn

from design_space.errors import InputError
from finetune.optimizers import mfac
from finetune.optimizers.mfac import MFAC

SHAPES = ((3, 5), (7,), (2, 2, 2))
D = 30


def parameters(dtype: torch.dtype = torch.float64) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in SHAPES]


def gradients(count: int, scale: float = 1e-2, seed: int = 1) -> Tensor:
    """Shape (count, D), in float64."""
    return scale * torch.randn(count, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def give(params: Sequence[nn.Parameter], gradient: Tensor) -> None:
    for parameter, part in zip(
        params, gradient.split([shape.numel() for shape in map(torch.Size, SHAPES)]), strict=True
    ):
        parameter.grad = part.view_as(parameter).to(parameter)


def flat(params: Sequence[nn.Parameter]) -> Tensor:
    return torch.cat([parameter.detach().reshape(-1).double() for parameter in params])


def dense(seen: Tensor, num_grads: int, damp: float) -> Tensor:
    """(λI + (1/m) Σ g gᵀ)⁻¹ g by the d × d matrix, for the last m gradients; g is the newest."""
    window = seen[-num_grads:]
    fisher = damp * torch.eye(D, dtype=torch.float64) + window.T @ window / num_grads
    return torch.linalg.solve(fisher, seen[-1])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)], ids=str)
@pytest.mark.parametrize("count", [1, 5, 8, 9, 30], ids="{} gradients".format)
@pytest.mark.parametrize("damp", [1e-6, 1e-3])
def test_a_step_is_that_of_the_dense_inverse(dtype: torch.dtype, tolerance: float, count: int, damp: float) -> None:
    params, seen = parameters(dtype), gradients(count)
    optimizer = MFAC(params, lr=1.0, num_grads=8, damp=damp)
    for gradient in seen[:-1]:
        give(params, gradient)
        optimizer.step()
    for parameter in params:
        parameter.data.zero_()  # so that the next step is read off without loss
    give(params, seen[-1])
    optimizer.step()
    expected = -dense(seen.to(dtype).double(), 8, damp)
    assert torch.linalg.norm(flat(params) - expected) <= tolerance * torch.linalg.norm(expected)


def test_products_that_rounding_made_indefinite_are_solved_with_the_damping_as_least_eigenvalue() -> None:
    gram = torch.tensor([[4.0, 4.0], [4.0, 4.0 - 1e-6]], dtype=torch.float64)  # eigenvalues 8 and -5e-7
    right = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    values, vectors = torch.linalg.eigh(gram)
    assert values[0] < -1e-7
    solution = mfac._solve(gram, 1e-7, right)
    expected = vectors @ ((vectors.T @ right) / torch.tensor([[1e-7], [8.0]], dtype=torch.float64))
    assert torch.allclose(solution, expected, rtol=1e-5)


def test_a_great_damping_leaves_the_direction_of_gradient_descent() -> None:
    params, seen = parameters(), gradients(5)
    before = flat(params)
    optimizer = MFAC(params, lr=1e9, num_grads=4, damp=1e9)
    for gradient in seen:
        give(params, gradient)
        optimizer.step()
    assert torch.allclose(before - flat(params), seen.sum(0), rtol=1e-6)


def test_momentum_decay_and_groups_are_their_definitions() -> None:
    params, seen = parameters(), gradients(3)
    groups = [
        {"params": params[:1], "lr": 0.1, "momentum": 0.9},
        {"params": params[1:], "lr": 0.2, "weight_decay": 0.5},
    ]
    optimizer = MFAC(groups, num_grads=2, damp=0.1)
    expected, momentum = flat(params), torch.zeros(D, dtype=torch.float64)
    first = torch.arange(D) < 15
    for count, gradient in enumerate(seen, start=1):
        momentum = torch.where(first, 0.9 * momentum, torch.zeros(())) + dense(seen[:count], 2, 0.1)
        rate = torch.where(first, 0.1, 0.2).double()
        expected = expected - rate * torch.where(first, 0.0, 0.5) * expected - rate * momentum
        give(params, gradient)
        optimizer.step()
    assert torch.allclose(flat(params), expected, rtol=1e-10)


def test_steps_of_a_window_that_fills_are_as_long_as_its_mean() -> None:
    steps = []
    for warmup in (False, True):
        params = parameters()
        before = flat(params)
        optimizer = MFAC(params, lr=1.0, num_grads=4, damp=0.1, warmup=warmup)
        give(params, gradients(1)[0])
        optimizer.step()
        steps.append(flat(params) - before)
    assert torch.allclose(steps[1], steps[0] / 4)


def test_a_window_in_bfloat16_steps_along_the_rounded_gradients() -> None:
    params, seen = parameters(torch.float32), gradients(6)
    optimizer = MFAC(params, lr=1.0, num_grads=4, damp=1e-3, dtype="bfloat16")
    assert optimizer.window_bytes == 4 * D * 2
    for gradient in seen:
        for parameter in params:
            parameter.data.zero_()
        give(params, gradient)
        optimizer.step()
    expected = -dense(seen.to(torch.bfloat16).double(), 4, 1e-3)
    assert torch.linalg.norm(flat(params) - expected) <= 1e-4 * torch.linalg.norm(expected)


def test_blocks_of_columns_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for chunk in (2**22, 4 * 7):  # seven columns at a time
        monkeypatch.setattr(mfac, "_CHUNK", chunk)
        params = parameters()
        optimizer = MFAC(params, lr=1.0, num_grads=4, damp=1e-3)
        for gradient in gradients(6):
            give(params, gradient)
            optimizer.step()
        results.append(flat(params))
    assert torch.allclose(*results, rtol=1e-9)


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}, {"momentum": 0.5, "dtype": "bfloat16"}], ids=str)
def test_a_run_goes_on_from_its_state(settings: dict[str, Any]) -> None:
    params, seen = parameters(torch.float32), gradients(10)
    make: Callable[..., MFAC] = lambda given: MFAC(given, lr=0.1, num_grads=4, damp=1e-3, **settings)  # noqa: E731
    optimizer = make(params)
    for gradient in seen[:6]:
        give(params, gradient)
        optimizer.step()
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in params]
    resumed = make(copies)
    file.seek(0)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for gradient in seen[6:]:
        for used, stepped in ((params, optimizer), (copies, resumed)):
            give(used, gradient)
            stepped.step()
    assert torch.equal(flat(params), flat(copies))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_is_passed_over(value: float) -> None:
    params, clean = parameters(), parameters()
    skipping, other = (MFAC(given, lr=0.1, num_grads=3, damp=1e-3, momentum=0.9) for given in (params, clean))
    for number, gradient in enumerate(gradients(5)):
        for used, optimizer in ((params, skipping), (clean, other)):
            give(used, gradient)
            optimizer.step()
        if number == 2:
            before = flat(params)
            give(params, gradient)
            params[1].grad[3] = value  # type: ignore[index]
            skipping.step()
            assert torch.equal(flat(params), before)
    assert torch.equal(flat(params), flat(clean))
    assert (skipping.num_skipped, other.num_skipped) == (1, 0)


def test_a_parameter_without_a_gradient_counts_as_zero_and_stays() -> None:
    params, seen = parameters(), gradients(2)
    optimizer = MFAC(params, lr=1.0, num_grads=2, damp=1e-3)
    before = params[1].detach().clone()
    for gradient in seen:
        give(params, gradient)
        params[1].grad = None
        optimizer.step()
    assert torch.equal(params[1], before)


def test_a_closure_is_called_with_gradients_and_its_loss_returned() -> None:
    parameter = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = MFAC([parameter], lr=0.1, num_grads=2, damp=1.0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 5.0
    assert parameter[0] < 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_grads": 0}, "num_grads: must be a whole number from 2 on, got 0"),
        ({"num_grads": 1}, "num_grads: must be a whole number from 2 on, got 1"),
        ({"num_grads": 2.5}, "num_grads: must be a whole number"),
        ({"damp": 0.0}, r"damp: must be above 0 and finite, got 0\.0"),
        ({"damp": float("nan")}, "damp: must be above 0"),
        ({"lr": -1.0}, r"lr: must be at least 0 and finite, got -1\.0"),
        ({"momentum": 1.0}, r"momentum: must be below 1, got 1\.0"),
        ({"weight_decay": -0.1}, "weight_decay: must be at least 0"),
        ({"dtype": "float16"}, "dtype: must be one of float32, bfloat16, float64, got 'float16'"),
        ({"offload": "disk"}, "offload: must be 'cpu', or left out, got 'disk'"),
    ],
    ids=str,
)
def test_values_outside_their_ranges_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^M-FAC {message}"):
        MFAC(parameters(), **({"num_grads": 4} | settings))


def test_a_window_that_does_not_fit_is_refused_with_the_largest_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = psutil.virtual_memory()._replace(available=10 * D * 4 + 1)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(InputError, match="11 gradients of 30 parameters take .* Give num_grads=10 at most or dtype=bf"):
        MFAC(parameters(torch.float32), num_grads=11)
    MFAC(parameters(torch.float32), num_grads=11, dtype="bfloat16")


def test_sparse_gradients_are_refused() -> None:
    table = nn.Embedding(5, 2, sparse=True)
    optimizer = MFAC(table.parameters(), num_grads=2)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(InputError, match="gradients: must be dense, got 'sparse ones'"):
        optimizer.step()


def test_a_parameter_of_another_shape_is_refused() -> None:
    params = parameters()
    optimizer = MFAC(params, num_grads=2)
    params[1].data = torch.zeros(9, dtype=torch.float64)
    with pytest.raises(InputError, match=r"params: must be of the shape \(7,\), got \(9,\)"):
        optimizer.step()


def test_a_state_of_another_kind_is_refused() -> None:
    params = parameters()
    optimizer = MFAC(params, num_grads=4)
    with pytest.raises(InputError, match="state: must be of a window of 4 gradients of 30 parameters, got .3, 30"):
        optimizer.load_state_dict(MFAC(params, num_grads=3).state_dict())
    with pytest.raises(InputError, match="state: must be that of an M-FAC optimizer"):
        optimizer.load_state_dict(torch.optim.AdamW(params).state_dict())


def test_a_further_group_is_refused() -> None:
    optimizer = MFAC(parameters(), num_grads=2)
    with pytest.raises(InputError, match="params: must be all there when the optimizer is made"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))]})


def test_a_scaled_loss_steps_as_one_that_is_not_scaled() -> None:
    """As mixed precision in float16 has it: what overflowed is no step, and does not enter the window."""
    inputs = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    plain, scaled = (torch.nn.Parameter(torch.ones(8)) for _ in range(2))
    optimizer, with_scale = (MFAC([one], lr=0.1, num_grads=4, damp=1e-2) for one in (plain, scaled))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for row in inputs:
        (row @ plain).square().backward()
        optimizer.step()
        optimizer.zero_grad()
    for number, row in enumerate(inputs):
        if number == 3:
            scaler.scale((row @ scaled) * torch.inf).backward()
            scaler.step(with_scale)
            scaler.update()
            with_scale.zero_grad()
        scaler.scale((row @ scaled).square()).backward()
        scaler.step(with_scale)
        scaler.update()
        with_scale.zero_grad()
    torch.testing.assert_close(scaled, plain, rtol=1e-4, atol=1e-6)
    assert with_scale.num_skipped == 0


def _train_a_part(rank: int, port: int, folder: str) -> None:
    """One of two processes, each with every other row of a batch."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(6, 2))
    optimizer = MFAC(model.parameters(), lr=0.05, num_grads=3, damp=1e-3, momentum=0.5)
    for batch in _batches():
        model(batch[rank::2]).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.save(model.module.state_dict(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def _batches() -> torch.Tensor:
    return torch.randn(5, 8, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.slow
def test_every_process_takes_the_step_of_the_whole_batch(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_train_a_part, (port, str(tmp_path)), nprocs=2)
    torch.manual_seed(0)
    alone = torch.nn.Linear(6, 2)
    optimizer = MFAC(alone.parameters(), lr=0.05, num_grads=3, damp=1e-3, momentum=0.5)
    for batch in _batches():
        alone(batch).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for name, value in alone.state_dict().items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-6)
