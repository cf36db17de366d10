"""How busy slots are in asynchronous search and in batches, by `python -m boshnas.simulate`.

usage: python benchmarks/utilisation.py [--seeds 10] [--surrogate-seeds 3] [--out FILE.md]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import outcome
import pandas as pd

BUDGET = 200
SIGMAS = (0.5, 1.0, 1.5)
SLOTS = (8, 32)
ASKED = 95.0


def simulated(*words: str) -> list[dict[str, Any]]:
    """Results of the command: asynchronous, then in batches."""
    command = [sys.executable, "-m", "boshnas.simulate", "--json", *words]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    results: list[dict[str, Any]] = json.loads(printed)["results"]
    return results


def percent(spread: dict[str, float]) -> str:
    return f"{100 * spread['mean']:.1f} ± {100 * spread['sd']:.1f}"


def hours(spread: dict[str, float]) -> str:
    return f"{spread['mean']:.1f} ± {spread['sd']:.1f}"


def thousand_evaluations_s() -> float:
    """Seconds to simulate 1,000 evaluations with random proposals."""
    with tempfile.TemporaryDirectory() as scratch:
        large = Path(scratch, "large.csv")
        values = np.random.default_rng(0).random((2000, 4))
        pd.DataFrame(values, columns=["a", "b", "c", "score"]).to_csv(large, index=False)
        words = ("--table", str(large), "--objective", "score", "--methods", "random", "--seeds", "2")
        begin = time.monotonic()
        simulated(*words, "--budget", "1000", "--synchronous", "no")
        between = time.monotonic()
        simulated(*words, "--budget", "1", "--synchronous", "no")
        return (between - begin - (time.monotonic() - between)) / 2


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="of random search")
    parser.add_argument("--surrogate-seeds", type=int, default=3)
    arguments = parser.parse_args()
    common = ("--table", "nas_bench_bert", "--budget", str(BUDGET))
    rows, least = [], 100.0
    for method, seeds in (("random", arguments.seeds), ("boshnas", arguments.surrogate_seeds)):
        for slots in SLOTS:
            for sigma in SIGMAS:
                words = ("--workers", str(slots), "--durations", f"lognormal:{sigma}", "--seeds", str(seeds))
                apart, batches = simulated(*common, "--methods", method, *words)
                if (slots, sigma) == (8, 1.0):
                    least = min(least, 100 * apart["busy"]["mean"])
                cells = [method, str(slots), f"{sigma:g}"]
                cells += [percent(one["busy"]) for one in (apart, batches)]
                cells += [percent(one["busy_whole"]) for one in (apart, batches)]
                cells += [hours(one["hours"]) for one in (apart, batches)]
                rows.append("| " + " | ".join(cells) + " |")
                sys.stderr.write(rows[-1] + "\n")
    waits = []
    for slots in SLOTS:
        for seconds in (1, 10, 60):
            words = ("--workers", str(slots), "--proposal-seconds", str(seconds), "--seeds", str(arguments.seeds))
            apart, batches = simulated(*common, "--methods", "random", *words)
            waits.append(f"| {slots} | {seconds} | {percent(apart['busy'])} | {percent(batches['busy'])} |")
    speed = thousand_evaluations_s()
    body = f"""
| what | asked | measured |
|---|---:|---:|
| 8 slots, sigma 1, asynchronous: busy | >= {ASKED:.0f} % | {least:.1f} % |
| 1,000 evaluations, random proposals, simulated in | a few seconds | {speed:.1f} s |

Busy counts until the last evaluation was started; afterwards slots are idle because nothing is left to start.
Shares are per cent of the slots' time, mean ± standard deviation over seeds.

| proposals | slots | sigma | busy | busy, batches | to the end | to the end, batches | hours | hours, batches |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
{chr(10).join(rows)}

Above, a proposal takes no virtual time. Where each takes some, sigma 1, random proposals:

| slots | seconds a proposal | busy | busy, batches |
|---:|---:|---:|---:|
{chr(10).join(waits)}
"""
    setting = (
        f"nas_bench_bert, {BUDGET} evaluations, log-normal durations with a median of 30 minutes, virtual time; "
        f"{arguments.seeds} seeds, {arguments.surrogate_seeds} of boshnas."
    )
    outcome.publish("Utilisation of slots", ["torch", "numpy"], setting, body, arguments.out)
    sys.exit(0 if least >= ASKED else 1)


if __name__ == "__main__":
    main()
