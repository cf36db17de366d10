"""`python -m boshnas.bench`: search methods side by side on a table whose rows are all measured."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from boshnas.errors import InputError
from design_space.command_line import run_app

_EPILOG = (
    "Examples: boshnas bench --table nas_bench_bert --seeds 5; boshnas bench --table results.csv "
    "--objective accuracy --methods boshnas,botorch,rf --jobs 8 --plot regret.png"
)

app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def command(
    table: Annotated[
        str, typer.Option(help="A .csv, .tsv, .json, .jsonl or .parquet file, every row measured; or nas_bench_bert.")
    ],
    methods: Annotated[
        str,
        typer.Option(
            help="Of boshnas, gp, npn (this search), random, evolution, local, tpe and optuna-gp (Optuna), "
            "botorch, rf (SMAC style), ensemble (BANANAS style)."
        ),
    ] = "boshnas,random,evolution,tpe,rf",
    seeds: Annotated[int, typer.Option(help="Runs of each method, every one from its own random rows.")] = 10,
    budget: Annotated[int | None, typer.Option(help="Evaluations a run; 100 by default, or all rows.")] = None,
    initial: Annotated[int, typer.Option(help="Random rows at the start, the same for every method.")] = 10,
    jobs: Annotated[int, typer.Option(help="Runs at a time, each with one thread.")] = 1,
    seed: Annotated[int, typer.Option(help="The first of the seeds.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw mean regret over evaluations: FILE.png, .svg or .html.")
    ] = None,
    objective: Annotated[str | None, typer.Option(help="Column to optimise; the mean of --repeats by default.")] = None,
    minimize: Annotated[bool, typer.Option("--minimize", help="Less of the objective is better.")] = False,
    features: Annotated[
        str | None,
        typer.Option(help="Columns that describe an architecture, a,b,c; all without another use by default."),
    ] = None,
    ignore: Annotated[str | None, typer.Option(help="Columns that are no features, a,b,c.")] = None,
    noise_std: Annotated[str | None, typer.Option(help="Column with the objective's standard deviation.")] = None,
    repeats: Annotated[
        str | None,
        typer.Option(
            help="Columns a,b,c of repeated measurements: their noise, and where --objective is not given their mean."
        ),
    ] = None,
    id_: Annotated[str | None, typer.Option("--id", help="Column of identifiers.")] = None,
    constraint: Annotated[list[str] | None, typer.Option(help="Limit such as 'params<=12e6'; may be repeated.")] = None,
) -> int:
    """Compare search methods on a completely measured table.

    Regret is how far the best row found is from the table's best; auc is its mean over what the methods chose. All see
    the same features, but tpe and optuna-gp, to which each column is one parameter.
    """
    # Torch and the peers' packages take seconds to import: --help does not wait for them.
    from boshnas.bench.command import BenchOptions, run_bench

    return run_bench(
        BenchOptions(
            table=table,
            objective=objective,
            minimize=minimize,
            features=features,
            ignore=ignore,
            noise_std=noise_std,
            repeats=repeats,
            id=id_,
            constraints=tuple(constraint or ()),
            methods=methods,
            seeds=seeds,
            budget=budget,
            initial=initial,
            jobs=jobs,
            seed=seed,
            plot=plot,
            as_json=as_json,
        )
    )


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    return run_app(app, "boshnas bench", words, InputError)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
