"""The bare command: seconds to the first score, in all, and peak memory of all its processes.

usage: python benchmarks/first_command.py [--out FILE.md]
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import outcome
import psutil

from boshnas.store import Store


def peak_memory(process: psutil.Process, peak: list[int], stop: threading.Event) -> None:
    """Sample the proportional set size of a process and its descendants (shared pages are counted once)."""
    while not stop.wait(0.5):
        total = 0
        try:
            for member in [process, *process.children(recursive=True)]:
                try:
                    total += member.memory_full_info().pss
                except psutil.Error:
                    continue
        except psutil.Error:
            return
        peak[0] = max(peak[0], total)


def main() -> None:
    parser = outcome.parser(__doc__)
    arguments = parser.parse_args()
    peak, stop = [0], threading.Event()
    with tempfile.TemporaryDirectory() as scratch:
        start = time.monotonic()
        search = subprocess.Popen(
            [sys.executable, "-m", "boshnas.run", "--space", "flexibert_mini", "--json"],
            cwd=scratch,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=peak_memory, args=(psutil.Process(search.pid), peak, stop), daemon=True).start()
        first = None
        assert search.stderr is not None
        for line in search.stderr:
            sys.stderr.write(line)
            if first is None and "demo GLUE score" in line and " in " in line:
                first = time.monotonic() - start
        output = search.communicate()[0]
        elapsed = time.monotonic() - start
        stop.set()
        assert search.returncode == 0, f"exit code {search.returncode}"
        result = json.loads(output.splitlines()[-1])
        with Store.open(Path(scratch, result["store"])) as store:
            decisions = Counter(str(trial.proposal.decision) for trial in store.trials())
        by_surrogate = decisions["optimise"] + decisions["uncertainty"]
        loads = Path(scratch, result["export_dir"], "model.safetensors").is_file()
    levels = ", ".join(f"level {level['level']}: {level['num_evaluated']}" for level in result["levels"])
    body = f"""
| what | asked | measured |
|---|---:|---:|
| first scored architecture | <= 60 s | {first:.0f} s |
| whole command, export included ({loads}) | <= 360 s | {elapsed:.0f} s |
| architectures evaluated ({levels}) | >= 10 | {result["num_evaluated"]} |
| of these proposed by the surrogate ({dict(decisions)}) | >= half | {by_surrogate} |
| peak memory of all processes | < 4 GB | {peak[0] / 1e9:.2f} GB |
| best demo GLUE score | | {result["best"]["score"]:.2f} |
"""
    outcome.publish("The bare command", ["torch", "transformers"], "Synthetic demo data.", body, arguments.out)


if __name__ == "__main__":
    main()
