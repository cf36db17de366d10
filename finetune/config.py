"""What a fine-tuning run is told: its own flags, and the Trainer's with other defaults here.

`--help` shows what is told here, so nothing in this file imports torch or transformers, which take seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from finetune.tuning.settings import FULL, METHODS, Tuning

COMMAND = "python -m finetune"
MFAC = "mfac"
ADAMW = "adamw"
SAMPLING = ["group_by_length", "random", "sequential", "stratified"]
PROBLEMS = ["classification", "regression"]
TASK_TYPES = ["closed_book_qa", "seq2seq"]
CLASS_WEIGHTS = ["none", "balanced"]
LEARNING_RATES = {
    FULL: 1e-4,
    "prompt": 5e-3,
    "prefix": 5e-3,
    **dict.fromkeys(("adapter", "lora", "head", "bitfit"), 1e-3),
}
"""What is learnt anew, and little of it, takes greater steps than what was learnt before."""


def _told_rates() -> str:
    """The learning rates by tuning, for the help text."""
    return ", ".join(f"{rate:g} ({tuning})" for tuning, rate in LEARNING_RATES.items())


@dataclass
class RunsConfig:
    """Flags of one task and of a whole benchmark that transformers does not have."""

    _argument_group_name = "fine-tuning"

    model_name_or_path: str = field(default="", metadata={"help": "Checkpoint: a folder or a hub name."})
    data: str = field(
        default="glue",
        metadata={"help": "Where the rows are: a folder with one folder a task, 'glue' (the hub), 'demo' (synthetic)."},
    )
    max_seq_length: int | None = field(
        default=None, metadata={"help": "Tokens of an input at most; 128, for questions 384."}
    )
    max_train_samples: int | None = field(default=None, metadata={"help": "Use the first N training rows only."})
    max_eval_samples: int | None = field(default=None, metadata={"help": "Score on the first N rows only."})
    split_seed: int = field(default=42, metadata={"help": "Of the parts that are drawn, where one is missing."})
    num_runs: int | None = field(default=None, metadata={"help": "Runs with different seeds, from --seed on; 1."})
    seeds: list[int] = field(default_factory=list, metadata={"help": "The seeds themselves."})
    resume: bool = field(default=False, metadata={"help": "Take the runs that --output_dir holds as done."})
    json: bool = field(default=False, metadata={"help": "Print the result as one JSON line."})


@dataclass
class FinetuneConfig(RunsConfig):
    """Flags of one task."""

    task_name: str | None = field(
        default=None,
        metadata={"help": "A task of GLUE or SuperGLUE, squad, squad_v2, restaurant_sup, acl_sup or agnews_sup."},
    )
    dataset_name: str | None = field(
        default=None, metadata={"help": "A data set of the hub, owner/name, instead of a task; also squad, squad_v2."}
    )
    dataset_config_name: str | None = field(default=None, metadata={"help": "Configuration of --dataset_name."})
    train_file: str | None = field(default=None, metadata={"help": "Training rows of your own: a file or a folder."})
    validation_file: str | None = field(default=None, metadata={"help": "Validation rows; drawn where absent."})
    test_file: str | None = field(default=None, metadata={"help": "Test rows; drawn where validation is, too."})
    text_columns: list[str] = field(
        default_factory=list, metadata={"help": "The one or two columns of --train_file that hold text."}
    )
    label_column: str = field(default="label", metadata={"help": "The column of --train_file that holds the label."})
    problem: str | None = field(
        default=None,
        metadata={
            "help": "What --label_column is, where it is not plain.",
            "choices": ["classification", "regression"],
        },
    )
    task_type: str | None = field(
        default=None,
        metadata={
            "help": "Let an encoder-decoder such as T5 write texts, learnt from --train_file: 'closed_book_qa' answers "
            "questions from memory (columns question, answer or answers), 'seq2seq' makes a text of another (columns "
            "source, target; named by --text_columns and --label_column).",
            "choices": TASK_TYPES,
        },
    )
    subset_column: str = field(
        default="subset", metadata={"help": "With --task_type: the column whose values are scored apart too."}
    )
    source_prefix: str = field(default="", metadata={"help": "With --task_type: stands before each input."})
    max_target_length: int = field(
        default=128, metadata={"help": "With --task_type: tokens of a written text at most, its end among them."}
    )
    num_beams: int = field(default=1, metadata={"help": "With --task_type: beams of the search; 1: greedy."})
    doc_stride: int = field(default=128, metadata={"help": "Tokens that two windows of a context share."})
    n_best_size: int = field(default=20, metadata={"help": "Spans that compete for an answer."})
    max_answer_length: int = field(default=30, metadata={"help": "Tokens of an answer at most."})
    version_2_with_negative: bool = field(default=False, metadata={"help": "Questions may have no answer."})
    null_score_diff_threshold: float = field(
        default=0.0, metadata={"help": "Answer nothing where that scores so much above the best span."}
    )
    max_predict_samples: int | None = field(default=None, metadata={"help": "With --do_predict the first N rows only."})
    autotune: int = field(default=0, metadata={"help": "Trials of Optuna for rate and batch, before the runs."})
    autotune_learning_rate: list[float] = field(
        default_factory=lambda: [2e-5, 5e-4], metadata={"help": "Least and greatest learning rate of --autotune."}
    )
    autotune_batch_sizes: list[int] = field(
        default_factory=lambda: [32, 64, 128], metadata={"help": "Batches of --autotune."}
    )
    autotune_epochs: list[int] = field(
        default_factory=list, metadata={"help": "Epochs of --autotune; not tuned where not given."}
    )


@dataclass
class SuiteConfig(RunsConfig):
    """Flags of a benchmark."""

    tasks: str = field(default="all", metadata={"help": "Names separated by commas, or 'all' that the data has."})
    parallel: int = field(default=1, metadata={"help": "Tasks at a time."})


@dataclass
class GlueConfig(SuiteConfig):
    """Flags of GLUE, whose test labels a site keeps."""

    submission: str = field(
        default="",
        metadata={"help": "Folder for predictions of the test rows, in the files that gluebenchmark.com takes."},
    )


CONFIGS: Mapping[str | None, type[RunsConfig]] = {None: FinetuneConfig, "glue": GlueConfig, "superglue": SuiteConfig}
"""Flags by benchmark, None for one task."""


def command_and_example(benchmark: str | None) -> tuple[str, str]:
    """How a command is called, and how with flags, for its help."""
    if benchmark is None:
        return (
            COMMAND,
            f"{COMMAND} --model_name_or_path tiny --task_name mrpc --data my-glue/ --num_runs 5 --output_dir out",
        )
    command = f"{COMMAND} {benchmark}"
    return command, f"{command} --model_name_or_path tiny --data {benchmark}-files/ --output_dir out"


@dataclass
class TrainerDefaults:
    """Arguments of the transformers Trainer with defaults for small encoders on GLUE, and further ones."""

    _argument_group_name = "the transformers Trainer"

    output_dir: str = field(default="", metadata={"help": "Where models and results go; nothing is kept where absent."})
    learning_rate: float = field(
        default=cast(float, None),
        metadata={"help": "Peak learning rate; where not given " + _told_rates() + "."},
    )
    optim: str = field(
        default=ADAMW, metadata={"help": "The optimizer: adamw, mfac (M-FAC), or another of transformers."}
    )
    optim_args: str | None = field(
        default=None, metadata={"help": "Its arguments, as 'num_grads=64,damp=1e-6' or as JSON."}
    )
    weight_decay: float = field(default=0.01, metadata={"help": "Decoupled weight decay."})
    warmup_steps: float = field(default=0.06, metadata={"help": "Steps of linear warm-up, or their share below 1."})
    num_train_epochs: float = field(default=5.0, metadata={"help": "Passes over the training rows."})
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Rows a device and step."})
    per_device_eval_batch_size: int = field(default=128, metadata={"help": "Rows a device when scoring."})
    logging_steps: float = field(default=10, metadata={"help": "Steps between two logged losses."})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "Hide NaN losses from the log."})
    train_sampling_strategy: str = field(
        default="group_by_length",
        metadata={
            "help": "Order of the rows: 'group_by_length' (batches of about one length, least padding), 'random', "
            "'sequential', or 'stratified' (labels spread evenly over the batches).",
            "choices": SAMPLING,
        },
    )
    layerwise_lr_decay: float = field(
        default=1.0, metadata={"help": "Factor of the learning rate from a layer to the one below it, in (0, 1]."}
    )
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the head; --learning_rate where not given."}
    )
    class_weights: str = field(
        default="none",
        metadata={
            "help": "'balanced': every label counts the same in the loss, however rare.",
            "choices": CLASS_WEIGHTS,
        },
    )
    tuning: str = field(
        default=FULL,
        metadata={
            "help": "What is trained: all weights ('full'), bottleneck adapters, LoRA's products, a prompt or prefixes "
            "of virtual tokens, the head alone, or the head and all biases ('bitfit'). The head is always trained.",
            "choices": list(METHODS),
        },
    )
    adapter_reduction_factor: int = field(
        default=Tuning.adapter_reduction_factor,
        metadata={"help": "With --tuning adapter: width of a layer over that of its adapters."},
    )
    lora_rank: int = field(default=Tuning.lora_rank, metadata={"help": "With --tuning lora: rank of the products."})
    lora_alpha: int = field(
        default=Tuning.lora_alpha, metadata={"help": "With --tuning lora: their scale, times the rank."}
    )
    lora_target_modules: list[str] = field(
        default_factory=list,
        metadata={"help": "With --tuning lora: ends of the names of linear layers; query and value where not given."},
    )
    num_virtual_tokens: int = field(
        default=Tuning.num_virtual_tokens, metadata={"help": "With --tuning prompt or prefix: their length."}
    )
    reparameterization_size: int = field(
        default=Tuning.reparameterization_size,
        metadata={"help": "With --tuning prompt or prefix: hidden units of the network that makes them in training."},
    )
    early_stopping_patience: int | None = field(
        default=None,
        metadata={"help": "Score after each epoch, keep the best, stop after so many epochs without a better one."},
    )
    disable_tqdm: bool | None = field(default=False, metadata={"help": "Show no progress."})
    save_strategy: str = field(default="no", metadata={"help": "When to keep intermediate checkpoints."})
    report_to: str = field(default="none", metadata={"help": "Where transformers reports to."})
