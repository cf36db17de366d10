"""Parameters of every usual encoder lie at the right depth and learn at the right rate."""

import pytest
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from design_space.model import FlexiBertConfig, FlexiBertForSequenceClassification
from design_space.model.presets import preset
from finetune.optimizers.groups import depths_of, parameter_groups

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 50,
}


def bert() -> PreTrainedModel:
    return BertForSequenceClassification(BertConfig(**SMALL))


def flexibert() -> PreTrainedModel:
    config = FlexiBertConfig.from_architecture(preset("bert_tiny"), vocab_size=50)
    return FlexiBertForSequenceClassification(config)


def distilbert() -> PreTrainedModel:
    return DistilBertForSequenceClassification(
        DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=16, vocab_size=50)
    )


@pytest.mark.parametrize(
    "model",
    [bert(), flexibert(), distilbert(), RobertaForSequenceClassification(RobertaConfig(**SMALL))],
    ids=lambda model: type(model).__name__,
)
def test_embeddings_are_lowest_and_the_head_is_above_the_last_layer(model: PreTrainedModel) -> None:
    depths = depths_of(model)
    assert {depth for name, depth in depths.items() if "word_embeddings" in name} == {0}
    assert {depth for name, depth in depths.items() if "layer.0." in name or "layers.0." in name} == {1}
    assert {depth for name, depth in depths.items() if "layer.1." in name or "layers.1." in name} == {2}
    assert {depth for name, depth in depths.items() if not name.startswith(model.base_model_prefix)} == {3}


def test_an_encoder_that_shares_its_layers_has_one() -> None:
    depths = depths_of(AlbertForSequenceClassification(AlbertConfig(**SMALL, embedding_size=8)))
    assert set(depths.values()) == {0, 1, 2}


def test_rates_fall_by_the_factor_from_layer_to_layer() -> None:
    model = bert()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed = {name for name in names.values() if name.endswith("weight") and "LayerNorm" not in name}
    groups = parameter_groups(
        model, learning_rate=1.0, weight_decay=0.1, decayed=decayed, layerwise_lr_decay=0.5, head_learning_rate=7.0
    )
    rates = {names[id(parameter)]: group["lr"] for group in groups for parameter in group["params"]}
    decays = {names[id(parameter)]: group["weight_decay"] for group in groups for parameter in group["params"]}
    assert rates["classifier.weight"] == 7.0
    assert rates["bert.encoder.layer.1.output.dense.weight"] == 0.5
    assert rates["bert.encoder.layer.0.output.dense.weight"] == 0.25
    assert rates["bert.embeddings.word_embeddings.weight"] == 0.125
    assert set(rates) == set(names.values())
    assert {name for name, decay in decays.items() if decay == 0.1} == decayed


def test_what_does_not_learn_is_in_no_group() -> None:
    model = bert()
    model.base_model.requires_grad_(False)
    groups = parameter_groups(model, learning_rate=1.0, weight_decay=0.0, decayed=())
    assert sum(len(group["params"]) for group in groups) == 2
