"""How the commands and the Python of the documentation are run in tests: budgets, stand-ins, and what is not run.

A command of a program that stands in none of these tables fails the tests.
"""

from collections.abc import Sequence
from shlex import split

_SEARCH = split("--budget 3 --initial 2 --pretrain-steps 2 --finetune-steps 2 --tasks cola --parallel 2")
_TRAIN = split(
    "--max_steps 1 --num_runs 2 --max_train_samples 16 --max_eval_samples 16 --per_device_train_batch_size 4"
)

# Words that are added to the commands of a program, of which the first line counts that fits.
SHRUNK: dict[str, Sequence[str]] = {
    "boshnas.run --resume": (),
    "boshnas.run --evaluator": ("--budget", "3", "--parallel", "2"),
    "boshnas.run --space": (*_SEARCH, "--recipe", "short.yaml", "--baselines", "none"),
    "boshnas.run --suggest": (),
    "boshnas.run --table": ("--budget", "12"),
    "boshnas.bench": ("--seeds", "1", "--budget", "12"),
    "boshnas.simulate": ("--seeds", "1", "--budget", "12"),
    "boshnas.export": (),
    "boshnas.report": (),
    "boshnas.doctor": (),
    "boshnas.list": (),
    "boshnas.show": (),
    "design_space": (),
    "design_space.model": (),
    "pretrain": split("--max_steps 2 --max_seq_length 32 --per_device_train_batch_size 4 --vocab_size 400"),
    "finetune compare": (),
    "finetune memory": (),
    "finetune merge": (),
    "finetune sweep": _TRAIN,
    "finetune glue": (*_TRAIN, "--tasks", "cola"),
    "finetune --do_eval": (),
    "finetune --do_predict": (),
    "finetune": _TRAIN,
}

# What stands for a checkpoint or data of the hub, for what a GPU alone does, or for what the reader is to fill in.
INSTEAD: dict[str, Sequence[str]] = {
    "google-bert/bert-base-uncased": ("bert",),
    "google-t5/t5-small": ("t5",),
    "google-t5/t5-large": ("t5",),
    "--bf16": ("--bf16", "--use_cpu"),
    "DIR": ("my-glue",),
    "DIR_OR_NAME": ("tiny",),
    "…": ("--model_name_or_path", "tiny", "--task_name", "mrpc", "--data", "my-glue"),
}

# The same for single commands: too much work as shown.
INSTEAD_OF_COMMAND: dict[str, str] = {
    "python -m design_space enumerate nas_bench_bert --level 1": "python -m design_space enumerate tiny.yaml --level 1",
    "python -m design_space distance flexibert_mini --level 1 --kind ged --out ged.npy": (
        "python -m design_space distance tiny.yaml --level 1 --kind ged --out ged.npy"
    ),
    "python -m design_space embed flexibert_mini --level 1 --out points.npz": (
        "python -m design_space embed tiny.yaml --level 1 --out points.npz"
    ),
    "boshnas export runs/mini --train cpu_small --to winner": (
        "boshnas export runs/mini --train short.yaml --to winner"
    ),
}

# Python of the pages: other words for the same reason, and what a page takes for granted.
INSTEAD_IN_PYTHON: dict[str, dict[str, str]] = {
    "README.md": {"n_trials=100": "n_trials=12"},
    "docs/design-space.md": {'"flexibert_mini"': '"tiny.yaml"'},
}
GRANTED: dict[str, str] = {
    "README.md": "import optuna\ndef objective(trial): return trial.suggest_float('x', -1, 1) ** 2",
    "docs/model.md": "from design_space.model import FlexiBertConfig, FlexiBertForMaskedLM\n"
    "from design_space.model.presets import preset\n"
    "source_architecture = preset('bert_tiny')\ntarget_architecture = preset('bert_mini')\n"
    "source, target = (FlexiBertForMaskedLM(FlexiBertConfig.from_architecture(one, vocab_size=64))\n"
    "                  for one in (source_architecture, target_architecture))",
}

# Commands whose results a page takes for granted.
_TINY = "python -m pretrain --model_dict bert_tiny --train_file my-text --output_dir tiny"
_REVIEWS = "python -m finetune --model_name_or_path tiny --train_file reviews.csv --text_columns title body "
_REVIEWS += "--label_column stars --output_dir out"
_OTHER = "python -m finetune --model_name_or_path bert --task_name mrpc --output_dir other-mrpc"
TAKEN_FOR_GRANTED: dict[str, Sequence[str]] = {
    "docs/finetuning.md": (_TINY, _REVIEWS, _OTHER),
}

# Parsed, not run: what they need is not there.
ONLY_PARSED: dict[str, str] = {
    "boshnas dashboard runs/mini": "it serves until it is stopped",
    "boshnas doctor --executor slurm --executor-config slurm.yaml --out runs/mini": "SLURM",
    "boshnas run --space flexibert_mini --data glue --budget 60 --executor slurm --executor-config slurm.yaml "
    "--out runs/mini": "SLURM",
    "boshnas doctor --executor ray --executor-config ray.yaml --out runs/mini": "a Ray cluster",
    "boshnas run --space flexibert_mini --data glue --budget 60 --executor ray --executor-config ray.yaml "
    "--out runs/mini": "a Ray cluster",
    "python -m finetune --model_name_or_path tiny --dataset_name owner/name": "a data set of the hub",
}

# Neither: programs of others, whose first words these are, and what runs them.
NOT_OURS: dict[str, str] = {
    "pip install": ".ci/run, in fresh environments",
    "pytest": "these tests are of it",
    ".ci/run": "it runs these tests",
    "pre-commit install": "changes the repository's hooks",
    "mkdocs": ".ci/run builds the site",
    "ruff": ".ci/run",
    "mypy": ".ci/run",
    "lint-imports": ".ci/run",
    "codespell": ".ci/run",
    "python benchmarks/": "a measurement; tests/docs asks each for its --help",
}
