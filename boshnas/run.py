"""`python -m boshnas.run`: search a design space to an exported model, or any table of measured architectures."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from boshnas.errors import InputError
from boshnas.interruption import taken_signals
from boshnas.writable import named_folder
from design_space.command_line import run_app

_SPACE = "A design space"
_TABLE = "A table"
_EPILOG = (
    "Examples: boshnas run --space flexibert_mini --data glue --budget 60 --max-hours 24; "
    "boshnas run --table results.csv --objective accuracy --suggest 5"
)

app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def command(
    context: typer.Context,
    budget: Annotated[
        int | None,
        typer.Option(
            help="Evaluations in all: 12 of a space, half of them at the first level, a third at the second, …; "
            "100 rows of a table, by default."
        ),
    ] = None,
    initial: Annotated[
        int | None,
        typer.Option(help="Random ones at the start: a third of the budget, at most 10; 10 rows of a table."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the search and of every training.")] = 0,
    surrogate: Annotated[str, typer.Option(help="boshnas, gp or random; npn for a table, too.")] = "boshnas",
    constraint: Annotated[list[str] | None, typer.Option(help="Limit such as 'params<=12e6'; may be repeated.")] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Folder of the run: runs/SPACE-DATE-TIME by default. A search of a table is kept there, with a "
            "report; nowhere by default.",
            metavar="FOLDER",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors and the result.")] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", help="Say also what was believed of each candidate, where its log is, how attempts failed."
        ),
    ] = False,
    space: Annotated[
        str | None, typer.Option(help="A shipped space's name, or a YAML file.", rich_help_panel=_SPACE)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="'demo' (synthetic; the default), 'glue' (from the hub), or a folder with one folder a task.",
            rich_help_panel=_SPACE,
        ),
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(
            help="Text to pre-train on; by default the recipe's, else DATA/corpus, else the tasks' own training text.",
            rich_help_panel=_SPACE,
        ),
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(help="Start no evaluation after this time.", rich_help_panel=_SPACE)
    ] = None,
    parallel: Annotated[
        int | None,
        typer.Option(
            help="Evaluations at a time; by default one a GPU, else one a core up to 4, or as the executor's settings "
            "say.",
            rich_help_panel=_SPACE,
        ),
    ] = None,
    executor: Annotated[
        str, typer.Option(help="What runs the evaluations: local, slurm or ray.", rich_help_panel=_SPACE)
    ] = "local",
    executor_config: Annotated[
        str | None,
        typer.Option(help="Its settings, a YAML file: partition, time, memory, …", rich_help_panel=_SPACE),
    ] = None,
    synchronous: Annotated[
        bool,
        typer.Option(
            "--synchronous", help="Propose only when nothing is in flight: repeatable by seed.", rich_help_panel=_SPACE
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in --out, with its options.", rich_help_panel=_SPACE),
    ] = False,
    storage: Annotated[
        str | None,
        typer.Option(
            help="PostgreSQL database for the store: a file with its URL, or a URL without a password; else "
            "BOSHNAS_STORAGE, else store.db in the run's folder.",
            rich_help_panel=_SPACE,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Pre-training recipe: a name or a YAML file; demo or cpu_small by default.", rich_help_panel=_SPACE
        ),
    ] = None,
    pretrain_steps: Annotated[
        int | None, typer.Option(help="Pre-training steps, instead of the recipe's.", rich_help_panel=_SPACE)
    ] = None,
    finetune_steps: Annotated[
        int | None, typer.Option(help="Steps a task, instead of 36 (demo) or 5 epochs.", rich_help_panel=_SPACE)
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(
            help="Tasks to score, or 'all'; cola,sst2,mrpc,stsb on the demo, else all there are.",
            rich_help_panel=_SPACE,
        ),
    ] = None,
    baselines: Annotated[
        str | None,
        typer.Option(help="Architectures to compare with, or 'none'; bert_mini on real data.", rich_help_panel=_SPACE),
    ] = None,
    evaluator: Annotated[
        str | None,
        typer.Option(
            help="Command that measures a candidate instead of the project's own worker: it reads {job}, the path of "
            "a job.json, and writes result.json beside it.",
            rich_help_panel=_SPACE,
        ),
    ] = None,
    straggler_factor: Annotated[
        float,
        typer.Option(
            help="End an evaluation whose stage takes more than so many times the median; 0: never.",
            rich_help_panel=_SPACE,
        ),
    ] = 10.0,
    min_free_gb: Annotated[
        float, typer.Option(help="Start nothing while the disk has less room.", rich_help_panel=_SPACE)
    ] = 1.0,
    max_checkpoint_gb: Annotated[
        float | None,
        typer.Option(
            help="Of all checkpoints together: those of the worst are deleted beyond it.", rich_help_panel=_SPACE
        ),
    ] = None,
    keep_best: Annotated[
        int, typer.Option(help="Checkpoints of so many of the best stay in any case.", rich_help_panel=_SPACE)
    ] = 5,
    max_failures: Annotated[
        int, typer.Option(help="Stop after more failed evaluations than this.", rich_help_panel=_SPACE)
    ] = 10,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check everything, print the plan, train nothing.", rich_help_panel=_SPACE),
    ] = False,
    table: Annotated[
        str | None,
        typer.Option(
            help="A .csv, .tsv, .json, .jsonl or .parquet file, one row an architecture; or nas_bench_bert.",
            rich_help_panel=_TABLE,
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="Column to optimise; empty where a row is not measured. The mean of --repeats by default.",
            rich_help_panel=_TABLE,
        ),
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
        str | None, typer.Option(help="Column with what a measurement costs.", rich_help_panel=_TABLE)
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Rows proposed at a time; 1 by default.", rich_help_panel=_TABLE)
    ] = None,
    suggest: Annotated[
        int | None,
        typer.Option(help="Learn from the measured rows, propose so many of the others.", rich_help_panel=_TABLE),
    ] = None,
) -> int:
    """Search for the best small encoder and export it, or search a table of architectures.

    The demo data is generated and synthetic: it shows the whole search offline; its scores say nothing about English.
    Ctrl-C finishes what runs and saves, a second one stops at once; --resume goes on after either.
    """
    explicit = _explicit(context)
    if quiet and verbose:
        raise InputError("--quiet: must not be given with --verbose. Give one of the two.")
    constraints = tuple(constraint or ())
    folder = None if out is None else named_folder(out)
    interruption = context.with_resource(taken_signals())
    # Each part brings its own libraries, some for seconds: only the one that is asked for is imported.
    if table is not None:
        _refuse(explicit, _SPACE, "--space", "--table")
        from boshnas.table_command import TableOptions, run_table

        return run_table(
            TableOptions(
                table=table,
                objective=objective,
                minimize=minimize,
                features=features,
                ignore=ignore,
                noise_std=noise_std,
                repeats=repeats,
                id=id_,
                cost=cost,
                constraints=constraints,
                budget=budget,
                initial=initial,
                batch=batch,
                seed=seed,
                suggest=suggest,
                surrogate=surrogate,
                as_json=as_json,
                quiet=quiet,
                verbose=verbose,
                out=folder,
            )
        )
    _refuse(explicit, _TABLE, "--table", "--space")
    if not space and not resume:
        raise InputError(
            "--space: must name a design space. Give flexibert_mini, or a YAML file. For a table, give --table FILE."
        )
    from boshnas.space_command import Output, run_space
    from boshnas.store import given_database

    values = context.params | {"constraints": constraints}
    names = {"constraints" if name == "constraint" else name for name in explicit}
    database = given_database(storage, os.environ)
    output = Output(
        folder=folder,
        resume=resume,
        dry_run=dry_run,
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
        database=database,
        storage=storage,
    )
    return run_space(values, names, output, interruption)


def _explicit(context: typer.Context) -> dict[str, typer.core.TyperOption]:
    """Options that stand on the command line, by the name of their parameter."""
    return {
        option.name: option
        for option in context.command.params
        if isinstance(option, typer.core.TyperOption)
        and option.name is not None
        and (source := context.get_parameter_source(option.name)) is not None
        and source.name == "COMMANDLINE"
    }


def _refuse(explicit: dict[str, typer.core.TyperOption], panel: str, owner: str, given: str) -> None:
    """Refuse options of the other way to search, whose own option is `owner`."""
    wrong = [option.opts[0] for option in explicit.values() if option.rich_help_panel == panel]
    if owner in wrong:
        raise InputError(f"{owner}: must not be given with {given}. Give one of the two.")
    if wrong:
        raise InputError(f"{wrong[0]}: must go with {owner}, not with {given}. Leave it out, or give {owner} instead.")


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    return run_app(app, "boshnas run", words, InputError)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
