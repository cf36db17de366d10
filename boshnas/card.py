"""The model card of an export."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData

from boshnas.trial import Trial
from boshnas.worker.settings import Settings
from design_space.architecture import Architecture
from design_space.counts import num_parameters
from finetune.data import DEMO, HUB
from finetune.outcomes.repeats import RunOutcome
from finetune.tasks import Task, find_task
from pretrain.config import Recipe

_CITATION = (
    "## Citation",
    "",
    "Tuli, Dedhia, Tuli, Jha (2023), FlexiBERT: Are current transformer architectures too homogeneous and rigid? "
    "JAIR 77, arXiv:2205.11656.",
    "",
)
_LOAD_REPORT = (
    "The LOAD REPORT that transformers prints is expected: heads in this folder that the class lacks are UNEXPECTED, "
    "those of the class that are not in this folder are MISSING and still to be trained; the encoder is whole."
)
_HUB_METRICS = {"accuracy": "accuracy", "matthews": "matthews_correlation"}


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """How the exported weights came about.

    Attributes:
        run: Name of the run's folder.
        recipe: Of pre-training.
        recipe_name: Where it was trained anew for the export; None for the search's own training.
        transferred_from: Architecture whose weights it took instead of a pre-training of its own.
        task_result: Of the fine-tuning, where the export is a classifier.
        corpus: Text that it was pre-trained on.
        license: Of the weights, by its hub identifier.
        base_model: Hub name of what was fine-tuned.
    """

    run: str
    recipe: Recipe
    recipe_name: str | None
    transferred_from: str | None
    task_result: RunOutcome | None
    corpus: Sequence[str]
    license: str
    base_model: str | None


def model_card(trial: Trial, settings: Settings, lineage: Lineage) -> str:
    """README.md of the folder, with the metadata that the hub reads.

    Args:
        trial: What was measured of the architecture.
        settings: Of its evaluation.
        lineage: Of the weights.
    """
    architecture = Architecture.from_model_dict(trial.architecture)
    is_demo = settings.data == DEMO
    sections = [
        _metadata(trial, settings, lineage),
        *_introduction(trial.id, architecture, lineage.run),
        *_scores(trial, *(("demo GLUE score (synthetic data)", "demo ") if is_demo else ("GLUE score", ""))),
        *_weights(lineage, is_demo),
        *_training(settings, lineage),
        *_limits(is_demo),
        *_CITATION,
    ]
    return "\n".join(sections)


def evaluator_card(
    trial: Trial, command: Sequence[str], *, run: str, license: str, base_model: str | None, has_tokenizer: bool
) -> str:
    """README.md of the folder where a program of the user's own trained: of data and recipe nothing is known here.

    Args:
        trial: What the program measured of the architecture.
        command: The program and its arguments.
        run: Name of the run's folder.
        license: Of the weights, by its hub identifier.
        base_model: Hub name of what was fine-tuned.
        has_tokenizer: Whether the folder holds one.
    """
    data = ModelCardData(
        license=license,
        library_name="transformers",
        tags=["flexibert", "boshnas"],
        pipeline_tag="fill-mask",
        base_model=base_model,
        model_name=f"flexibert-{trial.id}",
    )
    offered = f" It was offered the weights of `{trial.parent_id}` to start from." if trial.parent_id else ""
    sections = [
        f"---\n{data.to_yaml()}\n---\n",
        *_introduction(trial.id, Architecture.from_model_dict(trial.architecture), run, has_tokenizer),
        *_scores(trial, "score", ""),
        "## Weights, data and recipe",
        "",
        f"An evaluator of the user's own trained this model and measured its scores.{offered} Its command:",
        "",
        "```sh",
        shlex.join(command),
        "```",
        "",
        "What it trained on, and how, is not known here: add it before you publish the model.",
        "",
        *_CITATION,
    ]
    return "\n".join(sections)


def _introduction(id_: str, architecture: Architecture, run: str, has_tokenizer: bool = True) -> list[str]:
    tokenizer = 'tokenizer = AutoTokenizer.from_pretrained("DIR", trust_remote_code=True)'
    return [
        f"# FlexiBERT {id_}",
        "",
        f"A FlexiBERT encoder of {len(architecture.layers)} layers, found by a BOSHNAS search (run `{run}`).",
        "",
        "```python",
        f"from transformers import AutoModel{', AutoTokenizer' if has_tokenizer else ''}",
        "",
        *([tokenizer] if has_tokenizer else []),
        'model = AutoModel.from_pretrained("DIR", trust_remote_code=True)',
        "```",
        "",
        _LOAD_REPORT,
        "",
        "## Architecture",
        "",
        "```json",
        json.dumps(architecture.to_model_dict()),
        "```",
        "",
        f"{num_parameters(architecture):,} parameters at 50,265 entries, heads not counted.",
        "",
    ]


def _scores(trial: Trial, name: str, prefix: str) -> list[str]:
    """The trial's score under a name, and those of its tasks, which bear the prefix."""
    rows = [f"| {prefix}{task} | {score:.2f} |" for task, score in trial.task_scores.items()]
    return [
        "## Scores",
        "",
        f"{name} of the search: {trial.score:.2f}, one training with seed {trial.seed}.{_expected(trial)}",
        "",
        *(["| task | score |", "|---|---|", *rows, ""] if rows else []),
    ]


def _expected(trial: Trial) -> str:
    """How far the score may be luck, as the search saw it before it measured."""
    proposal = trial.proposal
    if proposal.mean is None:
        return " How far scores spread from seed to seed was not known when it was proposed."
    return (
        f" Before it was measured the search expected {proposal.mean:.2f} ± {proposal.epistemic_std:.2f} (standard "
        f"deviation), and ± {proposal.aleatoric_std:.2f} more from seed to seed."
    )


def _training(settings: Settings, lineage: Lineage) -> list[str]:
    return [
        "## Data and recipe",
        "",
        f"Pre-trained as a masked language model on: {', '.join(lineage.corpus)}.",
        f"Recipe{f' {lineage.recipe_name}' if lineage.recipe_name else ''}: `{lineage.recipe.model_dump_json()}`",
        f"Fine-tuning: `{settings.finetune.model_dump_json()}`",
        "",
    ]


def _limits(is_demo: bool) -> list[str]:
    return [
        "## Limits",
        "",
        "The demo data is synthetic: a small made-up language. This model knows nothing else, and its scores say "
        "nothing about real text."
        if is_demo
        else "Scores come from one seed and the search's own budget; train longer before you rely on them.",
        "",
    ]


def _metadata(trial: Trial, settings: Settings, lineage: Lineage) -> str:
    """The YAML head that the hub reads."""
    is_demo = settings.data == DEMO
    result = lineage.task_result
    measured = trial.task_scores if result is None else {result.task: result.score}
    tasks = [find_task(name) for name in measured]
    evaluations = [_evaluation(task, measured[task.name], settings.data) for task in tasks]
    data = ModelCardData(
        language="en",
        license=lineage.license,
        library_name="transformers",
        tags=["flexibert", "boshnas", *(["synthetic-data"] if is_demo else [])],
        pipeline_tag="fill-mask" if result is None else "text-classification",
        datasets=sorted({str(task.hub_name) for task in tasks}) if settings.data == HUB else None,
        metrics=sorted({evaluation.metric_type for evaluation in evaluations}),
        base_model=lineage.base_model,
        model_name=f"flexibert-{trial.id}",
        eval_results=evaluations,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def _evaluation(task: Task, score: float, data: str) -> EvalResult:
    """One score in [0, 100] as the hub lists it: a metric of its own, or the mean of two."""
    if len(task.metrics) == 1:
        metric, name, value = _HUB_METRICS[task.metrics[0]], None, score / 100
    else:
        metric, name, value = "glue", f"mean of {' and '.join(task.metrics)}, in percent", score
    is_demo, is_hub = data == DEMO, data == HUB
    return EvalResult(
        task_type="text-classification",
        dataset_type=str(task.hub_name) if is_hub else "synthetic-demo" if is_demo else Path(data).name,
        dataset_name=f"{'demo ' if is_demo else 'GLUE '}{task.name}",
        dataset_config=task.name,
        dataset_split=task.validation_split,
        metric_type=metric,
        metric_name=name,
        metric_value=round(value, 4),
    )


def _weights(lineage: Lineage, is_demo: bool) -> list[str]:
    lines = ["## Weights", ""]
    if lineage.recipe_name is not None:
        lines += [
            f"Trained anew for this export by the recipe `{lineage.recipe_name}`; the scores above are older.",
            "",
        ]
    elif lineage.transferred_from is not None:
        lines += [
            f"**Transferred**: the weights come from the trained neighbour `{lineage.transferred_from}` (equal blocks "
            "copied, the rest fresh); this architecture was not pre-trained by itself. Export it with `--train RECIPE` "
            "for weights of its own.",
            "",
        ]
    else:
        lines += ["The pre-trained masked language model of the search.", ""]
    if lineage.task_result is not None:
        result = lineage.task_result
        lines += [f"Fine-tuned for {'demo ' if is_demo else ''}{result.task}: score {result.score:.2f}.", ""]
    return lines
