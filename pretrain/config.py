"""What a pre-training run is told: its own flags, the Trainer's with other defaults here, and recipes.

`--help` shows what is told here, so nothing in this file imports torch or transformers, which take seconds.
"""

import difflib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from design_space.errors import InputError, did_you_mean

COMMAND = "python -m pretrain"
EXAMPLE = "python -m pretrain --model_dict bert_tiny --train_file corpus/ --output_dir out --max_steps 2000"


@dataclass
class PretrainConfig:
    """Flags of pre-training that transformers does not have."""

    _argument_group_name = "pre-training"

    model_dict: str = field(
        default="bert_mini",
        metadata={
            "help": "Architecture: a preset's name, the JSON of a model_dict, or a file that holds one; or the folder "
            "of a checkpoint, to train its weights further."
        },
    )
    train_file: list[str] | None = field(
        default=None,
        metadata={
            "help": "Text, several mixed with equal weights: files (.txt: a document a line; .jsonl, .csv, .tsv, "
            ".parquet; also as .gz or .zst), folders, globs, saved data sets, hub data sets (owner/name:config@split), "
            "'demo'. The recipe's corpus where absent, else 'demo'."
        },
    )
    text_column: str = field(default="text", metadata={"help": "Column or field of --train_file that holds the text."})
    cache_dir: str | None = field(
        default=None,
        metadata={"help": "Where tokenised corpora are kept. ~/.cache/boshnas/corpora where absent."},
    )
    tokenizer_name: str | None = field(
        default=None, metadata={"help": "Tokenizer's folder or hub name. Trained on the text where absent."}
    )
    tokenizer_kind: Literal["bpe", "wordpiece"] = field(
        default="bpe", metadata={"help": "Of a tokenizer that is trained here: byte-level BPE or BERT's WordPiece."}
    )
    lowercase: bool = field(default=False, metadata={"help": "A WordPiece that is trained here has no upper case."})
    vocab_size: int = field(default=8192, metadata={"help": "Entries of a tokenizer that is trained here."})
    max_seq_length: int = field(default=128, metadata={"help": "Tokens of one packed block."})
    mlm_probability: float = field(default=0.15, metadata={"help": "Share of tokens to predict, in (0, 1)."})
    dropout: float = field(default=0.1, metadata={"help": "Of hidden states and attention, in [0, 1)."})
    whole_word_masking: bool = field(default=False, metadata={"help": "Predict all tokens of a word or none."})
    separate_documents: bool = field(
        default=False, metadata={"help": "Nothing crosses the border between two documents of a block."}
    )
    max_tokens: int | None = field(default=None, metadata={"help": "Length in tokens, instead of --max_steps."})
    max_seconds: float | None = field(
        default=None, metadata={"help": "Length in seconds; the learning rate follows the clock."}
    )
    save_seconds: float | None = field(default=None, metadata={"help": "Seconds between two checkpoints."})
    max_checkpoint_gb: float | None = field(
        default=None, metadata={"help": "GB that checkpoints may take together; the newest always stays."}
    )
    resume: bool = field(
        default=False, metadata={"help": "Go on from the newest checkpoint in --output_dir; begin where there is none."}
    )
    dry_run: bool = field(
        default=False, metadata={"help": "Print steps, tokens, memory, hours and disk, and do nothing."}
    )
    recipe: str | None = field(
        default=None,
        metadata={
            "help": "cpu_small, demo, paper_final, paper_search or a YAML file; its values stand in for absent flags."
        },
    )
    json: bool = field(default=False, metadata={"help": "Print the result as one JSON line."})


@dataclass
class TrainerDefaults:
    """Arguments of the transformers Trainer with the defaults of RoBERTa (Liu et al. 2019, arXiv:1907.11692)."""

    _argument_group_name = "the transformers Trainer"

    output_dir: str = field(default="", metadata={"help": "Where the checkpoint goes; must not hold one."})
    learning_rate: float = field(default=1e-4, metadata={"help": "Peak learning rate."})
    adam_beta2: float = field(default=0.98, metadata={"help": "Second moment's decay."})
    adam_epsilon: float = field(default=1e-6, metadata={"help": "Added to the root of the second moment."})
    weight_decay: float = field(default=0.01, metadata={"help": "Decoupled weight decay."})
    warmup_steps: float = field(default=0.06, metadata={"help": "Steps of linear warm-up, or their share below 1."})
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Sequences a device and step."})
    max_steps: int = field(default=-1, metadata={"help": "Optimizer steps; 1,000 where no other length is given."})
    num_train_epochs: float = field(
        default=0.0, metadata={"help": "Readings of the corpus, instead of --max_steps; 0: not given."}
    )
    logging_steps: float = field(default=10, metadata={"help": "Steps between two losses of the learning curve."})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "Hide NaN losses from the log."})
    save_strategy: str = field(default="no", metadata={"help": "When to keep intermediate checkpoints."})
    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata={"help": "Look for parameters without gradient, on several devices."}
    )
    disable_tqdm: bool | None = field(default=False, metadata={"help": "Show no progress."})
    report_to: str = field(default="none", metadata={"help": "Where transformers reports to."})


MIN_VOCAB_SIZE = 261  # 256 bytes and five special tokens
Count = Annotated[int, Field(strict=True, ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Source(BaseModel):
    """One source of a corpus, in a recipe also its text alone.

    Attributes:
        source: What `pretrain.documents` reads: a file, folder, glob, data set or "demo".
        weight: How often it is drawn from, in relation to the others.
        column: Which one holds the text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Annotated[str, Field(min_length=1)]
    weight: Positive = 1.0
    column: Annotated[str, Field(min_length=1)] = "text"

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value


class Recipe(BaseModel):
    """The part of the flags that a recipe fixes, under the flags' names, and the corpus that it is meant for.

    What is not given has the flags' defaults. A search needs `max_steps`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_steps: Count | None = None
    per_device_train_batch_size: Count = 32
    gradient_accumulation_steps: Count = 1
    max_seq_length: Annotated[int, Field(strict=True, ge=2)] = 128
    learning_rate: Positive = 1e-4
    warmup_steps: Positive = 0.06
    adam_beta2: Annotated[float, Field(ge=0, lt=1)] = 0.98
    adam_epsilon: Positive = 1e-6
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    mlm_probability: Annotated[float, Field(gt=0, lt=1)] = 0.15
    vocab_size: Annotated[int, Field(strict=True, ge=MIN_VOCAB_SIZE)] = 8192
    corpus: Annotated[tuple[Source, ...], Field(min_length=1)] | None = None

    def training_arguments(self) -> dict[str, Any]:
        """The values that are arguments of the Trainer."""
        return self.model_dump(exclude={"max_seq_length", "mlm_probability", "vocab_size", "corpus"}, exclude_none=True)

    def flags(self, has_other_length: bool = False) -> dict[str, Any]:
        """What is given, but for the corpus.

        Args:
            has_other_length: Leave the length out, and give a warm-up as a share.
        """
        given = self.model_dump(exclude={"corpus"}, exclude_unset=True)
        if has_other_length:
            given.pop("max_steps", None)
            if "warmup_steps" in given:
                given["warmup_steps"] = self.warmup_share
        return given

    @property
    def warmup_share(self) -> float:
        """Warm-up over the recipe's own length; its steps where it has none."""
        if self.warmup_steps < 1 or self.max_steps is None:
            return self.warmup_steps
        return min(0.99, self.warmup_steps / self.max_steps)


def recipe_names() -> list[str]:
    """Names of the shipped recipes."""
    folder = resources.files("pretrain") / "recipes"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_recipe(name_or_file: str | Path, option: str = "--recipe") -> Recipe:
    """Read a shipped recipe by name, or a YAML file.

    Args:
        name_or_file: Which.
        option: Named in a refusal.

    Raises:
        InputError: If it does not exist, is not YAML, or keys break their rules.
    """
    name = str(name_or_file)
    if name in recipe_names():
        text = (resources.files("pretrain") / "recipes" / f"{name}.yaml").read_text("utf-8")
        return Recipe.model_validate(yaml.safe_load(text))
    where = f"{option}: {name}"
    if not Path(name).is_file():
        known = recipe_names()
        hint = did_you_mean(name, known)
        raise InputError(f"{option}: must be one of {', '.join(known)} or a YAML file, got {name!r}.{hint}")
    try:
        content = yaml.safe_load(Path(name).read_text("utf-8"))
    except UnicodeDecodeError:
        raise InputError(f"{where}: must be YAML in UTF-8, is not.") from None
    except yaml.YAMLError as error:
        raise InputError(f"{where}: must be YAML, is not{_yaml_problem(error)}.") from None
    if not isinstance(content, dict):
        raise InputError(f"{where}: must have lines such as 'max_steps: 2000', got {content!r:.60}.")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{where}: {'; '.join(_problems(error))}.") from None


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f" (line {mark.line + 1}: {getattr(error, 'problem', '')})"


def _problems(error: ValidationError) -> list[str]:
    """Every key that breaks a rule; what does not exist comes last, with what does."""
    told, unknown, known = [], [], set()
    problems = error.errors()
    for problem in problems:
        if any(len(other["loc"]) > len(problem["loc"]) for other in problems if problem["type"] == "too_short"):
            continue  # a list is short of the entries that are refused themselves
        *place, key = map(str, problem["loc"])
        name = ".".join([*place, key])
        if problem["type"] != "extra_forbidden":
            given = "" if problem["type"] == "missing" else f", got {problem['input']!r:.60}"
            told.append(f"{name}: {problem['msg']}{given}")
            continue
        fields = Source.model_fields if place else Recipe.model_fields
        known |= {", ".join(fields)}
        near = difflib.get_close_matches(key, fields, n=1)
        unknown.append(f"{name!r}{f' (did you mean {near[0]!r}?)' if near else ''}")
    if unknown:
        there_are = ", and in corpus ".join(sorted(known, key=len, reverse=True))
        told.append(f"there is no key {', '.join(unknown)}, but {there_are}")
    return told
