"""`python -m boshnas.export RUN --to DIR`: an architecture of a run as a Hugging Face model that loads anywhere."""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from boshnas.errors import InputError
from design_space.command_line import run_app

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Example: boshnas export runs/my-run --to my-model, then "
    "AutoModel.from_pretrained('my-model', trust_remote_code=True)"
)
def command(
    run: Annotated[Path, typer.Argument(help="Folder of a search.")],
    to: Annotated[Path, typer.Option(help="Folder to write; must not exist.")],
    id: Annotated[str | None, typer.Option(help="Architecture to export; the best one by default.")] = None,
    task: Annotated[str | None, typer.Option(help="Fine-tune for this task; else the masked language model.")] = None,
    train: Annotated[str | None, typer.Option(help="Train it anew by this recipe (name or YAML file) first.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write model.onnx too (needs the extra `onnx`).")] = False,
    license: Annotated[
        str, typer.Option(help="Of the weights, as the hub names it, for the model card.")
    ] = "apache-2.0",
    base_model: Annotated[
        str | None, typer.Option(help="Hub name of the model that was fine-tuned, for the model card.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="File with the URL of the run's database, if it has one; or BOSHNAS_STORAGE.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Export an architecture of a run as a Hugging Face model folder."""
    # The language models' packages take seconds to import: --help does not wait for them.
    from rich.console import Console
    from rich.markup import escape
    from transformers.utils import logging as transformers_logging

    from boshnas.export.export import ExportRequest, export
    from boshnas.store import given_database

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    request = ExportRequest(
        run_folder=run,
        target=to,
        id=id,
        task=task,
        recipe=train,
        onnx=onnx,
        license=license,
        base_model=base_model,
        database=given_database(storage, os.environ),
    )
    console = Console(stderr=True)
    # Training has a bar of its own; without a terminal a refusal stays the only line.
    is_told = console.is_terminal and train is None and task is None
    with console.status(escape(f"exporting to {to}, and loading it in a fresh process")) if is_told else nullcontext():
        trial = export(request)
    if as_json:
        sys.stdout.write(json.dumps({"id": trial.id, "export_dir": str(to)}) + "\n")
    else:
        sys.stdout.write(f"{trial.id} exported to {to}; it loads in a fresh process with the same outputs\n")


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    return run_app(app, "boshnas export", words, InputError)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
