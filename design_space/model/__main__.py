"""`python -m design_space.model`: other encoders as FlexiBERT models, and the published architectures."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging
from transformers.utils.hub import cached_file

from design_space.command_line import run_app
from design_space.counts import num_parameters
from design_space.errors import InputError
from design_space.files import folder_written_whole
from design_space.model.convert import Conversion, convert, in_one_line
from design_space.model.folder import save_self_contained
from design_space.model.presets import PRESETS

NAME = "python -m design_space.model"

app = typer.Typer(add_completion=False, help="The torch model of an architecture.", rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("convert", epilog=f"Example: {NAME} convert --from google-bert/bert-base-uncased --to flexibert-base")
def convert_checkpoint(
    source: Annotated[
        str, typer.Option("--from", help="Folder or hub name of a BERT, ConvBERT or FNet checkpoint (safetensors).")
    ],
    to: Annotated[
        Path | None, typer.Option(help="Folder to write; must not exist. The source's name with -flexibert by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the FlexiBERT model of a checkpoint's shape, with its weights, head and tokenizer.

    The outputs are checked to be equal. The folder loads where this project is not installed.
    """
    to = to or Path(f"{Path(source).resolve().name}-flexibert")
    with folder_written_whole(to) as folder:
        converted = convert(source)
        tokenizer = _tokenizer(source, converted.model.config.vocab_size)
        save_self_contained(converted.model, tokenizer, folder, _card(source, converted))
    config = converted.model.config
    if as_json:
        found = {
            "to": str(to),
            "source_class": converted.source_class,
            "class": type(converted.model).__name__,
            "model_dict": config.model_dict,
            "params": converted.num_parameters,
            "left_out": converted.left_out,
            "max_difference": converted.max_difference,
            "has_tokenizer": tokenizer is not None,
        }
        sys.stdout.write(json.dumps(found) + "\n")
        return
    sys.stdout.write(
        f"{converted.source_class} of {source} became {type(converted.model).__name__} in {to}; its outputs differ by "
        f"{converted.max_difference:.0e} at most\n"
    )
    if tokenizer is None:
        sys.stdout.write("the source has no tokenizer; give the folder one\n")
    if converted.left_out:
        sys.stdout.write(f"left out: {', '.join(converted.left_out)}\n")


@app.command(epilog=f"Example: {NAME} presets --json")
def presets(as_json: AsJson = False) -> None:
    """List the published architectures with their parameters at 50,265 entries and 512 positions."""
    counts = {
        name: {
            "model_dict": architecture.to_model_dict(),
            "params": num_parameters(architecture),
            "params_absolute": num_parameters(architecture, relative=False),
        }
        for name, architecture in PRESETS.items()
    }
    if as_json:
        sys.stdout.write(json.dumps(counts) + "\n")
        return
    table = Table("name", "layers", "relative_key", "absolute", box=None)
    for name, found in counts.items():
        table.add_row(name, str(len(PRESETS[name].layers)), f"{found['params']:,}", f"{found['params_absolute']:,}")
    Console().print(table)


def _tokenizer(source: str, vocab_size: int) -> PreTrainedTokenizerBase | None:
    """The checkpoint's tokenizer, where it has one; transformers would make one of five words otherwise.

    Raises:
        InputError: If it cannot be read, or has more entries than the model.
    """
    names = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "tokenizer.model")
    if not any(cached_file(source, name, _raise_exceptions_for_missing_entries=False) for name in names):
        return None
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source)
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise InputError(f"--from: {source}: its tokenizer cannot be read: {in_one_line(error)}") from None
    if len(tokenizer) > vocab_size:
        raise InputError(
            f"--from: {source}: its tokenizer must fit the model's {vocab_size} entries, has {len(tokenizer)}."
        )
    return tokenizer


def _card(source: str, converted: Conversion) -> str:
    is_local = Path(source).exists()
    metadata = ["---", "library_name: transformers", "tags:", "- flexibert"]
    if not is_local:
        metadata.append(f"base_model: {source}")
    named = f"the folder `{Path(source).resolve().name}`" if is_local else f"`{source}`"
    return "\n".join(
        [
            *metadata,
            "---",
            "",
            "# A FlexiBERT encoder",
            "",
            f"The weights of {named} (`{converted.source_class}`) in the form of a FlexiBERT: same outputs, "
            f"to {converted.max_difference:.0e}. Their licence and limits are those of their source.",
            "",
            "```json",
            json.dumps(converted.model.config.model_dict),
            "```",
            "",
            "Load with `trust_remote_code=True`.",
            "",
        ]
    )


def main(words: Sequence[str]) -> int:
    """Run a command; its exit code."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    return run_app(app, NAME, words)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
