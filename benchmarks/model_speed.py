"""Training speed and memory of the model beside BERT, FNet and ConvBERT of transformers, all at the size of BERT-Mini.

usage: python benchmarks/model_speed.py [--repeats 15] [--tokens 2048] [--device cpu|cuda] [--out FILE.md]

One step is forward and backward of the encoder without a head, on random ids without padding. All models of a row take
turns in one process, so that what else the machine does hits them alike; a ratio is the median over the turns. FNet is
given the exact GELU that all the others have. Memory is what the peak of a fresh process lies above its state before
the first step.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import outcome
import torch
from transformers import BertConfig, BertModel, ConvBertConfig, ConvBertModel, FNetConfig, FNetModel

from design_space.model import FlexiBertConfig, FlexiBertModel
from design_space.model.presets import preset

VOCAB_SIZE = 4096
LENGTHS = (64, 128, 512)
RATIOS = [
    ("sa/sdp absolute", "BertModel (sdpa)", {64: 0.95, 128: 0.95, 512: 0.95}),
    ("sa/sdp relative_key", "sa/sdp absolute", {64: 0.85, 128: 0.85, 512: 0.6}),
    ("l/dft absolute", "FNetModel", {64: 1.0, 128: 1.0, 512: 1.0}),
    ("c/9 absolute", "ConvBertModel", {64: 1.0, 128: 1.0, 512: 1.0}),
]
_MEGABYTE = 1 / 1024**2


def flexibert(name: str, positions: str, dropout: float) -> FlexiBertModel:
    config = FlexiBertConfig.from_architecture(
        preset(name),
        vocab_size=VOCAB_SIZE,
        position_embedding_type=positions,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    return FlexiBertModel(config)


def builders(dropout: float) -> dict[str, Callable[[], torch.nn.Module]]:
    shared = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 256,
        "num_hidden_layers": 4,
        "intermediate_size": 1024,
        "hidden_act": "gelu",
        "hidden_dropout_prob": dropout,
        "max_position_embeddings": 512,
    }
    attending = shared | {"num_attention_heads": 4, "attention_probs_dropout_prob": dropout}
    return {
        "BertModel (sdpa)": lambda: BertModel(
            BertConfig(**attending, attn_implementation="sdpa"), add_pooling_layer=False
        ),
        "sa/sdp absolute": lambda: flexibert("bert_mini", "absolute", dropout),
        "sa/sdp relative_key": lambda: flexibert("bert_mini", "relative_key", dropout),
        "FNetModel": lambda: FNetModel(FNetConfig(**shared), add_pooling_layer=False),
        "l/dft absolute": lambda: flexibert("fnet_mini", "absolute", dropout),
        "ConvBertModel": lambda: ConvBertModel(ConvBertConfig(**attending, embedding_size=256)),
        "c/9 absolute": lambda: flexibert("convbert_mini", "absolute", dropout),
    }


def step(model: torch.nn.Module, ids: torch.Tensor, gradient: torch.Tensor) -> float:
    """Seconds of one forward and backward."""
    model.zero_grad(set_to_none=True)
    start = time.perf_counter()
    model(ids).last_hidden_state.backward(gradient)
    if ids.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def batch(num_tokens: int, length: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(5, VOCAB_SIZE, (max(1, num_tokens // length), length), device=device)
    return ids, torch.randn(*ids.shape, 256, device=device)


def speeds(dropout: float, num_tokens: int, repeats: int, device: str) -> str:
    models = {name: build().train().to(device) for name, build in builders(dropout).items()}
    rows = ""
    for length in LENGTHS:
        ids, gradient = batch(num_tokens, length, device)
        times: dict[str, list[float]] = {name: [] for name in models}
        for number in range(repeats + 2):
            for name, model in models.items():
                seconds = step(model, ids, gradient)
                if number > 1:
                    times[name].append(seconds)
        rates = {name: ids.numel() / statistics.median(values) for name, values in times.items()}
        for ours, theirs, asked in RATIOS:
            low, high = (ids.numel() / quantile for quantile in reversed(statistics.quantiles(times[ours], n=4)[::2]))
            ratio = statistics.median(b / a for a, b in zip(times[ours], times[theirs], strict=True))
            rows += (
                f"| {dropout} | {length} | {ours} | {rates[ours]:,.0f} ({low:,.0f} to {high:,.0f}) | {theirs} | "
                f"{rates[theirs]:,.0f} | {ratio:.2f} | >= {asked[length]} |\n"
            )
    return rows


def peak_megabytes(name: str, dropout: float, num_tokens: int, device: str) -> float:
    """What one step at length 512 needs above the model itself, in this process."""
    model = builders(dropout)[name]().train().to(device)
    ids, gradient = batch(num_tokens, 512, device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(model, ids, gradient)
        return (torch.cuda.max_memory_allocated() - before) * _MEGABYTE
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is forgotten
    before = resident_kilobytes("VmRSS")
    step(model, ids, gradient)
    return (resident_kilobytes("VmHWM") - before) / 1024


def resident_kilobytes(name: str) -> int:
    """Resident memory of this process now (VmRSS) or at its peak (VmHWM), as Linux counts it."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def memories(num_tokens: int, device: str) -> str:
    rows = ""
    for dropout in (0.0, 0.1):
        found = {}
        for name in ("sa/sdp absolute", "sa/sdp relative_key"):
            words = [sys.executable, __file__, "--peak", name, "--dropout", str(dropout)]
            words += ["--tokens", str(num_tokens), "--device", device]
            values = [float(subprocess.run(words, check=True, capture_output=True, text=True).stdout) for _ in range(3)]
            found[name] = statistics.median(values)
        absolute, relative = found.values()
        rows += f"| {dropout} | {relative:,.0f} | {absolute:,.0f} | {relative / absolute:.2f} | <= 1.6 |\n"
    return rows


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--tokens", type=int, default=2048, help="a batch: 32 sequences of 64, 4 of 512")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--peak", help="print the megabytes of one model and end")
    parser.add_argument("--dropout", type=float, default=0.0, help="with --peak")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.peak:
        megabytes = peak_megabytes(arguments.peak, arguments.dropout, arguments.tokens, arguments.device)
        sys.stdout.write(f"{megabytes}\n")
        return
    rows = [speeds(dropout, arguments.tokens, arguments.repeats, arguments.device) for dropout in (0.0, 0.1)]
    body = f"""
| dropout | length | ours | tokens/s (quartiles) | peer | tokens/s | ratio | asked |
|---:|---:|---|---:|---|---:|---:|---:|
{"".join(rows)}
| dropout | `relative_key` at 512, MB | `absolute`, MB | ratio | asked |
|---:|---:|---:|---:|---:|
{memories(2 * arguments.tokens, arguments.device)}"""
    place = torch.cuda.get_device_name() if arguments.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    setting = (
        f"{place}; float32, {arguments.tokens:,} tokens a batch (memory: {2 * arguments.tokens:,}), "
        f"{arguments.repeats} repeats."
    )
    outcome.publish("Speed and memory of the model", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
