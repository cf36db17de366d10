"""The torch model of an architecture, on transformers."""

from transformers import AutoConfig

from design_space.model.configuration_flexibert import FlexiBertConfig
from design_space.model.folder import AUTO_CLASSES
from design_space.model.modeling_flexibert import (
    FlexiBertForMaskedLM,
    FlexiBertForMultipleChoice,
    FlexiBertForQuestionAnswering,
    FlexiBertForSequenceClassification,
    FlexiBertForTokenClassification,
    FlexiBertModel,
)

AutoConfig.register(FlexiBertConfig.model_type, FlexiBertConfig, exist_ok=True)
for auto_class, model_class in AUTO_CLASSES.items():
    auto_class.register(FlexiBertConfig, model_class, exist_ok=True)

__all__ = [
    "FlexiBertConfig",
    "FlexiBertForMaskedLM",
    "FlexiBertForMultipleChoice",
    "FlexiBertForQuestionAnswering",
    "FlexiBertForSequenceClassification",
    "FlexiBertForTokenClassification",
    "FlexiBertModel",
]
