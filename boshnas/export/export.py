"""Makes a Hugging Face model folder of an architecture of a run."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter
from transformers import PreTrainedTokenizerBase

from boshnas.card import Lineage, evaluator_card, model_card
from boshnas.elsewhere import check_elsewhere
from boshnas.errors import InputError
from boshnas.job import CHECKPOINT_FOLDER, job_folder
from boshnas.ranking import best_trial
from boshnas.store import Database, Store, place
from boshnas.trial import Status, Trial
from boshnas.worker.settings import MAX_POSITIONS, Settings, finetune_arguments
from design_space.architecture import Architecture
from design_space.files import folder_written_whole
from design_space.model import FlexiBertForMaskedLM, FlexiBertForSequenceClassification
from design_space.model.folder import save_self_contained
from design_space.model.modeling_flexibert import FlexiBertPreTrainedModel
from design_space.model.onnx_export import ONNX_FILE, require_onnx, write_onnx
from finetune.data import load_task
from finetune.heads.head import Reading
from finetune.tasks import find_task
from finetune.train import finetune
from pretrain.arguments import PretrainArguments
from pretrain.budget import Budget
from pretrain.cache import packed
from pretrain.config import Recipe, load_recipe
from pretrain.mixture import Mixture
from pretrain.tokenizer import load_tokenizer
from pretrain.train import Objective, Run, build_model, pretrain

_TOKENIZER_FILES = ("tokenizer_config.json", "tokenizer.json")
_KEEP_ONE = f"Give one with --id for which the evaluator left the folder {CHECKPOINT_FOLDER} beside its job.json."


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to export.

    Attributes:
        run_folder: Of a search.
        target: Folder to write; must not exist.
        id: Architecture; the best one where None.
        task: Fine-tuned for this task; the masked language model where None.
        recipe: Train it anew by this recipe first; its weights of the search where None.
        onnx: Write model.onnx too.
        license: Of the weights, for the model card, by its hub identifier.
        base_model: Hub name of what a fine-tuned model started from, for the model card.
        database: Where the run's store lies; None: in its folder.
    """

    run_folder: Path
    target: Path
    id: str | None = None
    task: str | None = None
    recipe: str | None = None
    onnx: bool = False
    license: str = "apache-2.0"
    base_model: str | None = None
    database: Database | None = None


def export(request: ExportRequest) -> Trial:
    """Write the model folder and check that it loads elsewhere with the same outputs.

    The folder is made under a temporary name and renamed at the end, so it is whole or absent.

    Returns:
        The trial that was exported.

    Raises:
        InputError: If the run, the id, the task or the target cannot be used.
        RuntimeError: If the folder does not load in a fresh process with equal outputs.
    """
    if os.path.exists(request.target):
        raise InputError(f"--to: {request.target} exists. Give another folder.")
    if request.onnx:
        require_onnx()
    with Store.open(place(request.run_folder, request.database), read_only=True) as store:
        identity = dict(store.identity)
        if "table" in identity:
            raise InputError(
                f"{request.run_folder}: a search of a table measures nothing and has no model to export, got one of "
                f"{identity['table']}. Export from a search of a space."
            )
        if "evaluator" in identity:
            _refuse_training(request)
        trial = _trial(store, request, "Train it anew with --train." if "worker" in identity else _KEEP_ONE)
    if "evaluator" in identity:
        _export_of_evaluator(request, trial, TypeAdapter(list[str]).validate_python(identity["evaluator"]))
        return trial
    settings = Settings.model_validate(identity["worker"])
    if request.task is not None:
        load_task(find_task(request.task), settings.data)
    recipe = None if request.recipe is None else _recipe(request.recipe, settings)
    with folder_written_whole(request.target) as folder, tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        checkpoint, lineage = _checkpoint(request, recipe, trial, settings, Path(scratch))
        is_classifier = request.task is not None
        model_class = FlexiBertForSequenceClassification if is_classifier else FlexiBertForMaskedLM
        model = _loaded(model_class, checkpoint, "Train it anew with --train.")
        card = model_card(trial, settings, lineage)
        _write(model, load_tokenizer(checkpoint), folder, card, request.onnx)
    return trial


def _export_of_evaluator(request: ExportRequest, trial: Trial, command: Sequence[str]) -> None:
    """Write what a program of the user's own has left: how it trains is not known here."""
    checkpoint = job_folder(request.run_folder, trial.number) / CHECKPOINT_FOLDER
    model = _loaded(FlexiBertForMaskedLM, checkpoint, "Export another one with --id.")
    has_tokenizer = any((checkpoint / name).is_file() for name in _TOKENIZER_FILES)
    card = evaluator_card(
        trial,
        command,
        run=request.run_folder.name,
        license=request.license,
        base_model=request.base_model,
        has_tokenizer=has_tokenizer,
    )
    with folder_written_whole(request.target) as folder:
        _write(model, load_tokenizer(checkpoint) if has_tokenizer else None, folder, card, request.onnx)


def _write(
    model: FlexiBertPreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, folder: Path, card: str, onnx: bool
) -> None:
    save_self_contained(model, tokenizer, folder, card)
    check_elsewhere(folder)
    if onnx:
        write_onnx(model, folder / ONNX_FILE)


def _recipe(name_or_file: str, settings: Settings) -> Recipe:
    """Another recipe to train by; the run's text where it names none."""
    recipe = load_recipe(name_or_file, "--train")
    if recipe.max_steps is None:
        raise InputError(f"--train: {name_or_file} must name max_steps. Add it.")
    corpus = recipe.corpus or settings.pretrain.corpus
    if corpus is None:
        raise InputError(
            "--train: the run was pre-trained on its tasks' own text; train needs a run with --corpus, "
            "or a recipe that names its corpus."
        )
    return recipe.model_copy(update={"corpus": corpus})


def _loaded(model_class: type[FlexiBertPreTrainedModel], checkpoint: Path, way_out: str) -> FlexiBertPreTrainedModel:
    try:
        model: FlexiBertPreTrainedModel = model_class.from_pretrained(checkpoint)
    except (OSError, ValueError) as error:
        raise InputError(f"{str(error).splitlines()[0]} {way_out}") from None
    return model


def _refuse_training(request: ExportRequest) -> None:
    """There is no recipe to go by where another program trained."""
    for name, value in (("--task", request.task), ("--train", request.recipe)):
        if value is not None:
            raise InputError(
                f"{name}: must not be given for a run whose evaluator trained in its own way, got {value!r}. "
                "Export without it, and train the export with `python -m finetune` or your own program."
            )


def _trial(store: Store, request: ExportRequest, way_out: str) -> Trial:
    trials = store.trials()
    if request.id is None:
        trial = best_trial(trials)
        if trial is None:
            raise InputError(f"{request.run_folder}: no evaluation has finished; there is nothing to export yet.")
    else:
        finished = {trial.id: trial for trial in trials if trial.status is Status.FINISHED}
        if request.id not in finished:
            known = ", ".join(list(finished)[:5]) or "none"
            raise InputError(f"--id: must be an architecture that finished ({known}, …), got {request.id!r}.")
        trial = finished[request.id]
    if request.recipe is None and not (job_folder(request.run_folder, trial.number) / CHECKPOINT_FOLDER).is_dir():
        raise InputError(f"{trial.id}: {request.run_folder} must hold its checkpoint, got none. {way_out}")
    return trial


def _checkpoint(
    request: ExportRequest,
    recipe: Recipe | None,
    trial: Trial,
    settings: Settings,
    scratch: Path,
) -> tuple[Path, Lineage]:
    """The checkpoint to export, trained further where asked, and how it came about."""
    checkpoint = job_folder(request.run_folder, trial.number) / CHECKPOINT_FOLDER
    if recipe is not None:
        checkpoint = _train(request, recipe, trial, settings, scratch / "trained")
    task_result = None
    if request.task is not None:
        task = find_task(request.task)
        arguments = finetune_arguments(settings.finetune, trial.seed, scratch / "trainer")
        arguments = replace(arguments, disable_tqdm=False)
        task_result = finetune(
            str(checkpoint),
            task,
            load_task(task, settings.data),
            arguments,
            Reading(max_seq_length=settings.finetune.max_seq_length),
            save_to=str(scratch / "finetuned"),
        )
        checkpoint = scratch / "finetuned"
    followed = recipe or settings.pretrain
    return checkpoint, Lineage(
        run=request.run_folder.name,
        recipe=followed,
        recipe_name=request.recipe,
        transferred_from=None if request.recipe else trial.parent_id,
        task_result=task_result,
        corpus=[source.source for source in followed.corpus or ()] or ["the tasks' own training text"],
        license=request.license,
        base_model=request.base_model,
    )


def _train(request: ExportRequest, recipe: Recipe, trial: Trial, settings: Settings, folder: Path) -> Path:
    """Pre-train from scratch by another recipe, with the run's tokenizer."""
    assert recipe.corpus is not None
    tokenizer = load_tokenizer(request.run_folder / settings.tokenizer)
    corpus = packed(Mixture(recipe.corpus), tokenizer, recipe.max_seq_length)
    arguments = PretrainArguments(output_dir=str(folder), seed=trial.seed, **recipe.training_arguments())
    architecture = Architecture.from_model_dict(trial.architecture)
    model = build_model(architecture, tokenizer, max(MAX_POSITIONS, recipe.max_seq_length))
    run = Run(budget=Budget(max_steps=arguments.max_steps), shows_progress=True)
    pretrain(model, tokenizer, corpus, arguments, Objective(mlm_probability=recipe.mlm_probability), run)
    return folder
