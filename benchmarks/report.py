"""The page of a run with many evaluations: seconds to write, megabytes, and how soon a browser has drawn it.

Architectures of three levels with nine tasks, predictions and failures, in a store of their own; the command is started
as a process, so that its imports count.

usage: python benchmarks/report.py [--trials 1000 10000] [--out FILE.md]

The last three numbers need playwright and Chromium.
"""

import os
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import numpy as np
import outcome

from boshnas.job import Result
from boshnas.store import STORE_FILE, Store
from boshnas.trial import Decision, Proposal, Status, Trial
from design_space.architecture import layer_parameters
from design_space.counts import num_parameters
from design_space.space import DesignSpace

GLUE = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")
NUM_ARCHITECTURES = 300


def fill(folder: Path, num_trials: int) -> None:
    space, rng = DesignSpace.load("flexibert_mini"), np.random.default_rng(0)
    architectures = [one for level in space.levels for one in space.sample(level, NUM_ARCHITECTURES, rng)]
    levels = np.repeat(list(space.levels), len(architectures) // len(space.levels)).tolist()
    with Store.create(folder / STORE_FILE, {"seed": 0}, space.parameter_choices()) as store:
        for number in range(num_trials):
            place = number * len(architectures) // num_trials
            architecture = architectures[place]
            parameters = layer_parameters(architecture)
            believed = 70 + 5 * (parameters["layer1.operation"] == "sa-sdp") + architecture.layers[0].hidden_size / 128
            is_random = number < 10
            foreseen = {} if is_random else {"mean": believed, "epistemic_std": 0.3, "aleatoric_std": 0.4}
            decision = Decision.RANDOM if is_random else Decision.OPTIMISE
            trial = Trial(
                number=number,
                proposal=Proposal(id=architecture.id, decision=decision, **foreseen),
                level=levels[place],
                architecture=architecture.to_model_dict(),
                parameters=parameters,
                seed=0,
                params=num_parameters(architecture),
            )
            store.add(trial)
            store.finish(result_of(trial, believed + rng.normal(0, 0.5), rng.random() < 0.05))


def result_of(trial: Trial, score: float, has_failed: bool) -> Result:
    if has_failed:
        return Result(number=trial.number, id=trial.id, status=Status.CRASHED, error="boom")
    return Result(
        number=trial.number,
        id=trial.id,
        status=Status.FINISHED,
        score=score,
        task_scores={task: score + place for place, task in enumerate(GLUE)},
        stage_seconds={"pretrain": 3600.0} | dict.fromkeys(GLUE, 300.0),
    )


def write(folder: Path) -> tuple[float, float, float]:
    """Seconds of the command by the clock and of the processor, and megabytes of its page."""
    begin, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-m", "boshnas.report", str(folder)], check=True, stdout=subprocess.DEVNULL)
    elapsed_s, after = time.perf_counter() - begin, os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return elapsed_s, cpu_s, (folder / "report.html").stat().st_size / 1e6


def drawn(page: Path) -> tuple[float, float, float] | None:
    """Seconds until there is something to read, until the page is loaded, and until the last figure is drawn."""
    browser_path = which("chromium")
    if find_spec("playwright") is None or browser_path is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1440, "height": 900})
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector("html[data-drawn]")
        first_ms = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        loaded_ms = tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        last_ms = tab.evaluate("Number(document.documentElement.dataset.drawn)")
        browser.close()
    return first_ms / 1000, loaded_ms / 1000, last_ms / 1000


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000])
    arguments = parser.parse_args()
    lines = []
    for num_trials in arguments.trials:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            fill(folder, num_trials)
            elapsed_s, cpu_s, megabytes = write(folder)
            seen = drawn(folder / "report.html")
        times = "| not measured " * 3 + "|" if seen is None else "".join(f"| {each:.1f} " for each in seen) + "|"
        lines.append(f"| {num_trials:,} | {elapsed_s:.1f} | {cpu_s:.1f} | {megabytes:.1f} {times}")
    times = "seconds to the first text | to the load event | to the last figure"
    head = [f"| evaluations | seconds to write | of the processor | MB | {times} |"]
    body = "\n".join([*head, "|---:|---:|---:|---:|---:|---:|---:|", *lines])
    asked = "\n\nAsked for 1,000: written in 5 s, 8 MB, opened in 2 s."
    setting = "A store in SQLite, the command as a process, headless Chromium without a GPU."
    outcome.publish("The report of a run", ["plotly", "scikit-learn"], setting, body + asked, arguments.out)


if __name__ == "__main__":
    main()
