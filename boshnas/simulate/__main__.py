"""`python -m boshnas.simulate`: whole campaigns of a search in virtual time."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from boshnas.errors import InputError
from design_space.command_line import run_app

_EPILOG = (
    "Examples: boshnas simulate --table nas_bench_bert --workers 8 --durations lognormal:1.0 "
    "--median-minutes 30; boshnas simulate --table results.csv --objective accuracy "
    "--durations column:seconds --budget 200 --methods boshnas,random,tpe --preempt-rate 0.05 --plot campaign.png"
)
_TABLE = "The table"
_FAULTS = "Faults"

app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def command(
    table: Annotated[
        str,
        typer.Option(
            help="A .csv, .tsv, .json, .jsonl or .parquet file, one row an architecture; or nas_bench_bert.",
            rich_help_panel=_TABLE,
        ),
    ],
    workers: Annotated[int, typer.Option(help="Evaluations at a time.")] = 8,
    durations: Annotated[
        str,
        typer.Option(
            help="How long evaluations take: lognormal:SIGMA, constant, column:NAME (seconds), or column for --cost."
        ),
    ] = "lognormal:1.0",
    median_minutes: Annotated[
        float | None, typer.Option(help="Median of the drawn durations, or the constant one; 30 by default.")
    ] = None,
    budget: Annotated[int | None, typer.Option(help="Evaluations; 60 by default, or all rows.")] = None,
    initial: Annotated[int, typer.Option(help="Random rows at the start, the same for every method.")] = 10,
    seeds: Annotated[int, typer.Option(help="Campaigns of each kind.")] = 5,
    seed: Annotated[int, typer.Option(help="The first of the seeds.")] = 0,
    methods: Annotated[
        str, typer.Option(help="Of those of `boshnas bench`: boshnas, gp, npn, random, evolution, tpe, …")
    ] = "boshnas,random",
    synchronous: Annotated[
        str, typer.Option(help="yes: propose a batch when nothing is in flight; no: as soon as a slot is free; both.")
    ] = "both",
    gpus_per_worker: Annotated[int, typer.Option(help="For the count of GPU-hours.")] = 1,
    max_hours: Annotated[float | None, typer.Option(help="Start no evaluation after this virtual time.")] = None,
    straggler_factor: Annotated[
        float | None, typer.Option(help="End what takes longer than so many times the median; none by default.")
    ] = None,
    proposal_seconds: Annotated[
        float, typer.Option(help="Virtual time that each proposal takes, while nothing else is started.")
    ] = 0.0,
    crash_rate: Annotated[
        float, typer.Option(help="Probability that an attempt crashes.", rich_help_panel=_FAULTS)
    ] = 0.0,
    oom_rate: Annotated[
        float, typer.Option(help="Probability that it runs out of memory.", rich_help_panel=_FAULTS)
    ] = 0.0,
    hang_rate: Annotated[float, typer.Option(help="Probability that it hangs.", rich_help_panel=_FAULTS)] = 0.0,
    preempt_rate: Annotated[
        float, typer.Option(help="Preemptions of each running attempt an hour, at most 1.", rich_help_panel=_FAULTS)
    ] = 0.0,
    hang_hours: Annotated[
        float,
        typer.Option(
            help="A hung attempt is ended by its machine after so long, if --straggler-factor does not end it before.",
            rich_help_panel=_FAULTS,
        ),
    ] = 24.0,
    checkpoint_minutes: Annotated[
        float,
        typer.Option(help="Between checkpoints, from which the next attempt goes on.", rich_help_panel=_FAULTS),
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw mean regret over the campaign's hours: FILE.png, .svg or .html.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(help="Column to optimise; the mean of --repeats by default.", rich_help_panel=_TABLE),
    ] = None,
    minimize: Annotated[
        bool, typer.Option("--minimize", help="Less of the objective is better.", rich_help_panel=_TABLE)
    ] = False,
    features: Annotated[
        str | None,
        typer.Option(
            help="Columns that describe an architecture, a,b,c; all without another use by default.",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    ignore: Annotated[
        str | None, typer.Option(help="Columns that are no features, a,b,c.", rich_help_panel=_TABLE)
    ] = None,
    noise_std: Annotated[
        str | None, typer.Option(help="Column with the objective's standard deviation.", rich_help_panel=_TABLE)
    ] = None,
    repeats: Annotated[
        str | None,
        typer.Option(
            help="Columns a,b,c of repeated measurements: their noise, and where --objective is not given their mean.",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    id_: Annotated[
        str | None,
        typer.Option("--id", help="Column of identifiers; row numbers from 0 by default.", rich_help_panel=_TABLE),
    ] = None,
    cost: Annotated[
        str | None,
        typer.Option(
            help="Column with what a measurement costs: boshnas, gp and npn propose per unit of it.",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(help="Limit such as 'params<=12e6'; may be repeated.", rich_help_panel=_TABLE),
    ] = None,
) -> int:
    """Run whole campaigns in virtual time: the real loop over the measured rows of a table, on machines only reckoned.

    Asynchronous search stands beside search in batches: hours, the slots' busy share until the last evaluation was
    started and to the end, GPU-hours of the evaluations and of all held slots, failures, and the best after 25, 50 and
    100 % of the hours. The same seed gives the same campaign.
    """
    # Torch and the peers' packages take seconds to import: --help does not wait for them.
    from boshnas.simulate.command import SimulateOptions, run_simulate
    from boshnas.simulate.faults import Faults

    return run_simulate(
        SimulateOptions(
            table=table,
            objective=objective,
            minimize=minimize,
            features=features,
            ignore=ignore,
            noise_std=noise_std,
            repeats=repeats,
            id=id_,
            cost=cost,
            constraints=tuple(constraint or ()),
            workers=workers,
            durations=durations,
            median_minutes=median_minutes,
            budget=budget,
            initial=initial,
            seeds=seeds,
            seed=seed,
            methods=methods,
            synchronous=synchronous,
            gpus_per_worker=gpus_per_worker,
            max_hours=max_hours,
            straggler_factor=straggler_factor,
            proposal_seconds=proposal_seconds,
            faults=Faults(
                crash_rate=crash_rate,
                oom_rate=oom_rate,
                hang_rate=hang_rate,
                preempt_rate=preempt_rate,
                hang_hours=hang_hours,
                checkpoint_minutes=checkpoint_minutes,
            ),
            as_json=as_json,
            plot=plot,
        )
    )


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    return run_app(app, "boshnas simulate", words, InputError)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
