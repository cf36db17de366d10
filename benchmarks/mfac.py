"""What a step of M-FAC costs beside the two passes over its window that nobody can avoid, and how exact it is.

usage: python benchmarks/mfac.py [--parameters 1000000] [--num-grads 64] [--repeats 15] [--device cpu] [--out FILE.md]

The passes are one product G g and one product Gᵀ c of a window of that size, by one call of torch each, timed in the
same run and in turn with the steps. Memory is the growth of the resident set (of the CUDA allocator) from before the
optimizer is made to after its window is full and more steps are done, beside m · d · 4 bytes; a small optimizer before
it loads the code that torch loads late. Exactness: a step of 200 parameters beside (λI + GᵀG / m)⁻¹ g solved densely in
float64, gradients of scale 1e-2, for windows that are not full, full and wrapped.
"""

import statistics
import time
from collections.abc import Callable

import outcome
import psutil
import torch
from torch import Tensor, nn

from finetune.optimizers.mfac import MFAC

DAMP = 1e-6


def timed(work: Callable[[], object], device: str) -> float:
    """Seconds."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def memory(device: str) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return psutil.Process().memory_info().rss


def error(dtype: torch.dtype, count: int, num_grads: int = 32, d: int = 200) -> float:
    """Relative, of the last of `count` steps."""
    seen = 1e-2 * torch.randn(count, d, dtype=torch.float64, generator=torch.Generator().manual_seed(count))
    seen = seen.to(dtype)
    parameter = nn.Parameter(torch.zeros(d, dtype=dtype))
    optimizer = MFAC([parameter], lr=1.0, num_grads=num_grads, damp=DAMP)
    for gradient in seen:
        parameter.data.zero_()
        parameter.grad = gradient.clone()
        optimizer.step()
    window = seen[-num_grads:].double()
    fisher = DAMP * torch.eye(d, dtype=torch.float64) + window.T @ window / num_grads
    expected: Tensor = -torch.linalg.solve(fisher, window[-1])
    return float(torch.linalg.norm(parameter.detach().double() - expected) / torch.linalg.norm(expected))


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--parameters", type=int, default=1_000_000)
    parser.add_argument("--num-grads", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments = parser.parse_args()
    d, m, device = arguments.parameters, arguments.num_grads, arguments.device
    error(torch.float32, m)
    parameter = nn.Parameter(torch.zeros(d, device=device))
    gradients = [1e-2 * torch.randn(d, device=device) for _ in range(4)]
    parameter.grad = gradients[0].clone()
    before = memory(device)
    optimizer = MFAC([parameter], lr=1e-4, num_grads=m, damp=DAMP)

    def step(number: int) -> None:
        parameter.grad.copy_(gradients[number % 4]).add_(1e-3 * number)  # type: ignore[union-attr]
        optimizer.step()

    for number in range(m + 3):
        step(number)
    grown = memory(device) - before
    window, vector = torch.randn(m, d, device=device), torch.randn(d, device=device)
    coefficients = torch.randn(m, device=device)
    passes, steps = [], []
    for _ in range(arguments.repeats):
        passes.append(timed(lambda: (torch.mv(window, vector), torch.mv(window.T, coefficients)), device))
        steps.append(timed(optimizer.step, device))
    ratio = statistics.median(steps) / statistics.median(passes)
    size = m * d * 4
    rows = [
        ("two passes, ms", "", f"{1e3 * statistics.median(passes):.1f}"),
        ("a step, ms", "", f"{1e3 * statistics.median(steps):.1f}"),
        ("a step, in passes", "<= 1.3", f"{ratio:.2f}"),
        ("memory, in windows of float32", "<= 1.05", f"{grown / size:.3f}"),
    ]
    for dtype, asked in ((torch.float64, "<= 1e-8"), (torch.float32, "<= 1e-4")):
        worst = max(error(dtype, count) for count in (1, 10, 31, 32, 33, 64, 150))
        rows.append((f"greatest error, {str(dtype).removeprefix('torch.')}", asked, f"{worst:.1e}"))
    body = "| what | asked | measured |\n|---|---:|---:|\n"
    body += "".join(f"| {what} | {asked} | {measured} |\n" for what, asked, measured in rows)
    setting = f"d = {d:,}, m = {m}, {device}, {torch.get_num_threads()} threads; {arguments.repeats} repeats, medians."
    outcome.publish("A step of M-FAC", ["torch"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
