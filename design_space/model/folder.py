"""Model folders that load where this project is not installed."""

import json
import shutil
from pathlib import Path
from typing import Any

from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from design_space.model.configuration_flexibert import FlexiBertConfig
from design_space.model.modeling_flexibert import (
    FlexiBertForMaskedLM,
    FlexiBertForMultipleChoice,
    FlexiBertForQuestionAnswering,
    FlexiBertForSequenceClassification,
    FlexiBertForTokenClassification,
    FlexiBertModel,
    FlexiBertPreTrainedModel,
)

AUTO_CLASSES: dict[Any, type[FlexiBertPreTrainedModel]] = {
    AutoModel: FlexiBertModel,
    AutoModelForMaskedLM: FlexiBertForMaskedLM,
    AutoModelForMultipleChoice: FlexiBertForMultipleChoice,
    AutoModelForQuestionAnswering: FlexiBertForQuestionAnswering,
    AutoModelForSequenceClassification: FlexiBertForSequenceClassification,
    AutoModelForTokenClassification: FlexiBertForTokenClassification,
}
_CODE = (
    "configuration_flexibert.py",
    "masking_flexibert.py",
    "operations_flexibert.py",
    "modeling_flexibert.py",
)


def save_self_contained(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, folder: Path, card: str
) -> None:
    """Write weights, configuration, tokenizer, the code that reads them, and the model card.

    Args:
        model: A FlexiBERT model.
        tokenizer: Of the model, where there is one.
        folder: To write into; made where it does not exist.
        card: Content of README.md.
    """
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    add_code(folder)
    (folder / "README.md").write_text(card, encoding="utf-8")


def add_code(folder: Path) -> None:
    """Put the code that reads a saved FlexiBERT beside it, and name it in its configuration.

    transformers would name the saved class alone; here every Auto class finds its own, so that a pre-trained encoder
    can be fine-tuned with any head.

    Args:
        folder: Holds a FlexiBERT's config.json.
    """
    for name in _CODE:
        shutil.copyfile(Path(__file__).with_name(name), folder / name)
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    config["auto_map"] = {"AutoConfig": f"configuration_flexibert.{FlexiBertConfig.__name__}"} | {
        auto.__name__: f"modeling_flexibert.{made.__name__}" for auto, made in AUTO_CLASSES.items()
    }
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
