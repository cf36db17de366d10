"""How fast the store takes and gives trials, beside the same trials written by Optuna's own calls.

A trial has 20 parameters and 40 values (14 attributes, of which one holds 26 details).

usage: python benchmarks/store_speed.py [--trials 10000] [--url-file FILE] [--out FILE.md]

`--url-file` holds the URL of a PostgreSQL database to measure too.
"""

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import outcome

from boshnas.job import Result
from boshnas.store import STORE_FILE, Location, Store, given_database, new_place, tables
from boshnas.trial import Decision, Proposal, Status, Trial

CHOICES = {f"parameter_{index}": [1, 2, 3] for index in range(20)}
TASKS = [f"task_{index}" for index in range(9)]
NUM_BY_CALLS = 300


def evaluate(store: Store, number: int) -> None:
    proposal = Proposal(id=f"{number:08x}", decision=Decision.OPTIMISE, mean=0.8, epistemic_std=0.1, aleatoric_std=0.02)
    architecture = {"l": 4, "o": ["sa", "l", "c", "sa"], "h": [128] * 4, "n": [2] * 4, "f": [[512]] * 4}
    store.add(
        Trial(
            number=number,
            proposal=proposal,
            level=1,
            architecture=architecture,
            parameters=dict.fromkeys(CHOICES, 2),
            seed=0,
        )
    )
    store.finish(
        Result(
            number=number,
            id=proposal.id,
            status=Status.FINISHED,
            score=number / 7,
            task_scores=dict.fromkeys(TASKS, 77.7),
            stage_seconds=dict.fromkeys(["pretrain", *TASKS], 12.3),
            details={f"detail_{index}": index / 3 for index in range(26)},
        )
    )


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def measure(location: Location, num_trials: int) -> tuple[float, float]:
    """Trials a second that are added and finished, and seconds to open the store with all of them."""
    with Store.create(location, {}, CHOICES) as store:
        elapsed_s = seconds(lambda: [evaluate(store, number) for number in range(num_trials)])
    return num_trials / elapsed_s, seconds(lambda: Store.open(location).close())


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--url-file")
    arguments = parser.parse_args()
    database = given_database(arguments.url_file, os.environ)
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, STORE_FILE)
        places: dict[str, Location] = {"SQLite": path}
        if database is not None:
            places["PostgreSQL"] = new_place(Path(scratch), database)
        for name, location in places.items():
            speed, opening_s = measure(location, arguments.trials)
            lines.append(f"| {name}: trials a second, added and finished | >= 60 | {speed:.0f} |")
            lines.append(f"| {name}: seconds to open {arguments.trials:,} trials | <= 5 | {opening_s:.1f} |")
        with closing(sqlite3.connect(path)) as connection:
            for check in ("quick_check", "integrity_check"):
                elapsed_s = seconds(lambda check=check: connection.execute(f"PRAGMA {check}").fetchall())
                lines.append(f"| SQLite: seconds of {check}, {path.stat().st_size / 1e6:.0f} MB | | {elapsed_s:.2f} |")
        tables._models = None
        speed, opening_s = measure(Path(scratch, "calls.db"), NUM_BY_CALLS)
        lines.append(f"| SQLite by Optuna's own calls: trials a second | | {speed:.0f} |")
        lines.append(f"| SQLite by Optuna's own calls: seconds to open {NUM_BY_CALLS} trials | | {opening_s:.2f} |")
    body = "\n".join(["| what | asked | measured |", "|---|---:|---:|", *lines])
    setting = "One process; 20 parameters and 40 values a trial."
    outcome.publish("The store", ["optuna", "sqlalchemy"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
