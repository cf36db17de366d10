"""The torch model of an architecture, on transformers."""

from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoModelForSequenceClassification

from design_space.model.configuration_flexibert import FlexiBertConfig
from design_space.model.modeling_flexibert import (
    FlexiBertForMaskedLM,
    FlexiBertForSequenceClassification,
    FlexiBertModel,
)

AutoConfig.register("flexibert", FlexiBertConfig, exist_ok=True)
AutoModel.register(FlexiBertConfig, FlexiBertModel, exist_ok=True)
AutoModelForMaskedLM.register(FlexiBertConfig, FlexiBertForMaskedLM, exist_ok=True)
AutoModelForSequenceClassification.register(FlexiBertConfig, FlexiBertForSequenceClassification, exist_ok=True)

__all__ = ["FlexiBertConfig", "FlexiBertForMaskedLM", "FlexiBertForSequenceClassification", "FlexiBertModel"]
