"""Does the demo carry a signal worth searching? Spread of the demo score between architectures and between seeds.

usage: python benchmarks/demo_signal.py [--architectures 12] [--seeds 2] [--out FILE.md]
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import outcome

from boshnas.campaign import CampaignSettings, check, prepare
from boshnas.executors import LocalExecutor
from boshnas.job import Job, Result, job_folder
from finetune.data import load_task
from finetune.metrics import Predictions, task_metrics, task_score
from finetune.tasks import Task


def majority_score(task: Task, data: str) -> float:
    """Score of the best constant prediction on every validation row."""
    rows = load_task(task, data)
    labels = np.array([row["label"] for row in rows.validation])
    constants = np.unique([row["label"] for row in rows.train])
    guesses = (Predictions(task=task, values=np.full_like(labels, constant), labels=labels) for constant in constants)
    return max(task_score(task_metrics(guess)) for guess in guesses)


def run(jobs: list[Job], folder: Path) -> Iterator[Result]:
    """Evaluate all jobs, one on each core."""
    waiting, running = list(jobs), 0
    with LocalExecutor([sys.executable, "-m", "boshnas.worker", "{job}"], num_slots=os.cpu_count() or 1) as executor:
        while waiting or running:
            while waiting and running < executor.num_slots:
                job = waiting.pop(0)
                executor.submit(job, job_folder(folder, job.number))
                running += 1
            for result in executor.poll():
                running -= 1
                yield result
            time.sleep(0.1)


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--architectures", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--draw", type=int, default=2026, help="seed of the random architectures")
    arguments = parser.parse_args()
    campaign = check(CampaignSettings(space="flexibert_mini"))
    architectures = campaign.space.sample(1, arguments.architectures, np.random.default_rng(arguments.draw))
    scores = np.full((arguments.architectures, arguments.seeds), np.nan)
    tasks: dict[str, list[float]] = {task.name: [] for task in campaign.tasks}
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare(campaign, folder)
        settings = campaign.worker.model_dump(mode="json")
        jobs = [
            Job(number=number, id=a.id, architecture=a.to_model_dict(), seed=seed, settings=settings)
            for number, (a, seed) in enumerate((a, seed) for a in architectures for seed in range(arguments.seeds))
        ]
        for result in run(jobs, folder):
            assert result.score is not None, result.error
            scores[divmod(result.number, arguments.seeds)] = result.score
            seconds.append(sum(result.stage_seconds.values()))
            for name, score in result.task_scores.items():
                tasks[name].append(score)
            sys.stderr.write(f"{result.number} {result.score:.2f} {dict(result.task_scores)}\n")
    means = scores.mean(axis=1)
    between = means.std(ddof=1)
    within = np.sqrt(scores.var(axis=1, ddof=1).mean())
    component = np.sqrt(max(0.0, between**2 - within**2 / arguments.seeds))
    majorities = {task.name: majority_score(task, "demo") for task in campaign.tasks}
    majority = float(np.mean(list(majorities.values())))
    rows = "\n".join(
        f"| demo {name} | {np.mean(values):.1f} | {min(values):.1f} to {max(values):.1f} | {majorities[name]:.1f} |"
        for name, values in tasks.items()
    )
    setting = (
        f"Synthetic demo data, default steps, {arguments.architectures} random architectures of level 1 x "
        f"{arguments.seeds} seeds."
    )
    body = f"""
| demo score | value |
|---|---:|
| standard deviation between architectures (of their means over seeds) | {between:.2f} |
| standard deviation within an architecture (over seeds) | {within:.2f} |
| between, corrected for the noise of the means (variance component) | {component:.2f} |
| mean | {scores.mean():.2f} |
| majority class | {majority:.2f} |
| mean above majority (asked: >= 10) | {scores.mean() - majority:.2f} |
| seconds of an evaluation on one core: mean, greatest | {np.mean(seconds):.0f}, {np.max(seconds):.0f} |

| task | mean | range | majority |
|---|---:|---:|---:|
{rows}
"""
    outcome.publish("Signal of the demo data", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
