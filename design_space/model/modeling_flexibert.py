"""FlexiBERT: an encoder whose layers each have their own operation, heads, hidden size and feed-forward stack.

Embeddings, layers, the encoder and its heads, from top to bottom; what mixes the tokens is in `operations_flexibert`,
which of them see each other in `masking_flexibert`. It travels with an export, so it imports torch, transformers and
safetensors alone.

Symbols: B sequences, T tokens, h hidden size.

Reference: Tuli, Dedhia, Tuli, Jha (2023), "FlexiBERT: Are current transformer architectures too homogeneous and
rigid?", JAIR 77.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import (
    BaseModelOutput,
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.utils.generic import can_return_tuple

from .configuration_flexibert import FlexiBertConfig
from .masking_flexibert import TokenMask, is_readable
from .operations_flexibert import OPERATIONS, DynamicConvolution, SelfAttention

IGNORED_LABEL = -100


class FlexiBertEmbeddings(nn.Module):
    """Word, token-type and (where positions are absolute) position embeddings, as wide as the first layer."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__()
        width = config.embedding_size
        self.word_embeddings = nn.Embedding(config.vocab_size, width, padding_idx=config.pad_token_id)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        self.position_embeddings = (
            nn.Embedding(config.max_position_embeddings, width)
            if config.position_embedding_type == "absolute"
            else None
        )
        self.LayerNorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, words: Tensor, token_type_ids: Tensor, positions: Tensor) -> Tensor:
        """Sum the embeddings: words (B, T, h), ids (B, T), positions (B, T) or (1, T) -> (B, T, h)."""
        embeddings = words + self.token_type_embeddings(token_type_ids)
        if self.position_embeddings is not None:
            embeddings = embeddings + self.position_embeddings(positions)
        return self.dropout(self.LayerNorm(embeddings))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """A stack of GELU layers, then the projection back to the hidden size."""

    def __init__(self, config: FlexiBertConfig, layer: dict[str, Any]) -> None:
        super().__init__()
        sizes = [layer["h"], *layer["f"]]
        self.stack = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))
        self.output = nn.Linear(sizes[-1], layer["h"])
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, T, h) -> the same shape."""
        for linear in self.stack:
            x = F.gelu(linear(x))
        return self.dropout(self.output(x))  # type: ignore[no-any-return]


class FlexiBertLayer(GradientCheckpointingLayer):
    """Operation and feed-forward stack, each with residual and layer norm; first a projection where widths differ."""

    def __init__(self, config: FlexiBertConfig, layer: dict[str, Any], input_size: int) -> None:
        super().__init__()
        width = layer["h"]
        self.projection = nn.Linear(input_size, width) if input_size != width else None
        self.operation = OPERATIONS[layer["o"]](config, layer)
        self.operation_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config, layer)
        self.feed_forward_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, mask: TokenMask, output_attentions: bool = False) -> tuple[Tensor, Tensor | None]:
        """Tokens (B, T, input_size) -> (B, T, h), and attention probabilities on request."""
        if self.projection is not None:
            x = self.projection(x)
        mixed, probabilities = self.operation(x, mask, output_attentions)
        x = self.operation_norm(x + mixed)
        return self.feed_forward_norm(x + self.feed_forward(x)), probabilities


class HeadLinear(nn.Linear):
    """A layer of the classification head: initial weights keep the scale of its input.

    Two layers at `initializer_range` shrink the signal of a narrow encoder so far that short runs never leave the
    plateau.
    """


class FlexiBertPreTrainedModel(PreTrainedModel):
    """Initialisation and loading."""

    config_class = FlexiBertConfig
    config: FlexiBertConfig
    base_model_prefix = "flexibert"
    supports_gradient_checkpointing = True
    # The loss is a mean over the batch: the Trainer must divide it by its accumulation steps.
    accepts_loss_kwargs = False
    _supports_sdpa = True
    _no_split_modules = ["FlexiBertLayer"]

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: Any,
        *args: Any,
        output_loading_info: bool = False,
        ignore_mismatched_sizes: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Load as transformers does, and refuse what would leave a part of the encoder untrained.

        Args:
            pretrained_model_name_or_path: Folder or hub name.
            *args: As in transformers.
            output_loading_info: As in transformers.
            ignore_mismatched_sizes: As in transformers; a tensor of another shape is refused otherwise.
            **kwargs: As in transformers.

        Raises:
            ValueError: If a tensor is missing, has no place or has another shape, or if the file is damaged. A head may
                be new or left out, as a whole.
        """
        where = pretrained_model_name_or_path
        try:
            loaded: Any = super().from_pretrained(
                where, *args, output_loading_info=True, ignore_mismatched_sizes=True, **kwargs
            )
        except SafetensorError as error:
            raise ValueError(f"{where}: the weights cannot be read ({error}). Copy or train them anew.") from error
        model, info = loaded
        if not ignore_mismatched_sizes:
            for name, given, wanted in sorted(info["mismatched_keys"]):
                raise ValueError(
                    f"{where}: {name} must have the shape {tuple(wanted)} of the configuration, got {tuple(given)}."
                )
        # A head may be new as a whole; the rest must be there, and nothing beside it.
        head = {name for name in model.state_dict() if not _is_encoder(name)} - set(model.all_tied_weights_keys)
        has_new_head = head <= set(info["missing_keys"])
        parts = {name.split(".")[0] for name in head}
        for key, problem in (("missing_keys", "is missing"), ("unexpected_keys", "has no place in the architecture")):
            for name in sorted(info[key]):
                if _is_encoder(name) or (not has_new_head and name.split(".")[0] in parts):
                    raise ValueError(f"{where}: {name} {problem}. Weights and configuration do not belong together.")
        return (model, info) if output_loading_info else model

    def save_pretrained(self, save_directory: Any, *args: Any, **kwargs: Any) -> None:
        """Save as transformers does, and let others read the weights who may read the configuration beside them.

        Args:
            save_directory: Folder to write into.
            *args: As in transformers.
            **kwargs: As in transformers.
        """
        super().save_pretrained(save_directory, *args, **kwargs)
        beside = Path(save_directory, "config.json")
        if beside.is_file():
            for path in beside.parent.glob("*.safetensors"):  # which their library makes for the owner alone
                path.chmod(beside.stat().st_mode)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, HeadLinear):
            init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                init.zeros_(module.bias)
            return
        super()._init_weights(module)
        if isinstance(module, SelfAttention) and module.weighting is not None:
            init.copy_(module.weighting, torch.eye(module.weighting.shape[-1]).expand_as(module.weighting))
        elif isinstance(module, DynamicConvolution):
            init.normal_(module.depthwise, std=self.config.initializer_range)


def _is_encoder(name: str) -> bool:
    return name.removeprefix("flexibert.").startswith(("embeddings.", "layers."))


class FlexiBertModel(FlexiBertPreTrainedModel):
    """The encoder without a head."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__(config)
        assert config.model_dict is not None
        columns = {key: config.model_dict[key] for key in ("o", "h", "n", "f", "p")}
        layers = [{key: column[number] for key, column in columns.items()} for number in range(config.model_dict["l"])]
        widths = [config.embedding_size, *columns["h"]]
        self.embeddings = FlexiBertEmbeddings(config)
        self.layers = nn.ModuleList(
            FlexiBertLayer(config, layer, width) for layer, width in zip(layers, widths, strict=False)
        )
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The word embeddings."""
        return self.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the word embeddings."""
        self.embeddings.word_embeddings = value  # type: ignore[assignment]

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        document_ids: Tensor | None = None,
    ) -> BaseModelOutput:
        """Encode.

        Args:
            input_ids: Token ids, shape (B, T); or give `inputs_embeds`.
            attention_mask: 1 for real tokens, 0 for padding on either side, shape (B, T); all real where None.
            token_type_ids: Segment of each token, shape (B, T); 0 where None.
            inputs_embeds: Word embeddings, shape (B, T, width of the first layer), instead of `input_ids`.
            output_attentions: Also return the probabilities of each layer.
            output_hidden_states: Also return the embeddings and each layer's output.
            document_ids: Which document each token of a packed row belongs to, integers that do not decrease along the
                row, padding included, shape (B, T). Each document is encoded as if it were alone; one a row where None.

        Returns:
            `last_hidden_state` of shape (B, T, hidden size of the last layer), and what was asked for; a plain tuple
            with `return_dict=False`.

        Raises:
            ValueError: If both or neither of ids and embeddings are given, the sequence is too long, an id is beyond
                its embeddings, mask or documents have another shape, documents decrease or are no integers, or a layer
                has no attention to return.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("FlexiBertModel: give either input_ids or inputs_embeds, not both and not neither.")
        _check_ids("input_ids", input_ids, self.config.vocab_size)
        _check_ids("token_type_ids", token_type_ids, self.config.type_vocab_size)
        words = self.embeddings.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        self._check_shapes(words, attention_mask, document_ids)
        _check_documents(document_ids)
        if token_type_ids is None:
            token_type_ids = torch.zeros(words.shape[:2], dtype=torch.long, device=words.device)
        output_attentions = self.config.output_attentions if output_attentions is None else output_attentions
        output_hidden_states = (
            self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        )
        if output_attentions:
            self._check_attentions()
        mask = TokenMask.from_attention_mask(attention_mask, words, document_ids)
        x = self.embeddings(words, token_type_ids, mask.positions)
        hidden_states, attentions = [x], []
        for layer in self.layers:
            x, probabilities = layer(x, mask, bool(output_attentions))
            if output_hidden_states:
                hidden_states.append(x)
            if output_attentions:
                attentions.append(probabilities)
        return BaseModelOutput(
            last_hidden_state=x,
            hidden_states=tuple(hidden_states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )

    def _check_shapes(self, words: Tensor, attention_mask: Tensor | None, document_ids: Tensor | None) -> None:
        if words.shape[1] > self.config.max_position_embeddings:
            raise ValueError(
                f"FlexiBertModel: a sequence must have at most max_position_embeddings = "
                f"{self.config.max_position_embeddings} tokens, got {words.shape[1]}. Truncate it."
            )
        for name, given in (("attention_mask", attention_mask), ("document_ids", document_ids)):
            if given is not None and given.shape != words.shape[:2]:
                raise ValueError(
                    f"FlexiBertModel: {name} must have the shape {tuple(words.shape[:2])} of the tokens, got "
                    f"{tuple(given.shape)}."
                )

    def _check_attentions(self) -> None:
        assert self.config.model_dict is not None
        if self.config.position_embedding_type == "absolute" and "l" in self.config.model_dict["o"]:
            number = self.config.model_dict["o"].index("l")
            raise ValueError(
                f"output_attentions: layer {number} (l, {self.config.model_dict['p'][number]}) with absolute positions "
                "has no attention to return. Ask for hidden states alone."
            )


def _check_ids(name: str, ids: Tensor | None, limit: int, ignored: int | None = None) -> None:
    """Refuse ids beyond a table, where they may be looked at."""
    if ids is None or not is_readable(ids) or ids.is_floating_point():
        return
    wrong = (ids < 0) | (ids >= limit)
    if ignored is not None:
        wrong &= ids != ignored
    if wrong.any():
        allowed = f"in 0 to {limit - 1}" + ("" if ignored is None else f", or {ignored} for no label")
        raise ValueError(f"{name} must be {allowed}, got {int(ids[wrong][0])}.")


def _check_documents(document_ids: Tensor | None) -> None:
    """Refuse what numbers no documents; their order only where it may be looked at."""
    if document_ids is None:
        return
    if document_ids.is_floating_point() or document_ids.dtype == torch.bool:
        raise ValueError(f"FlexiBertModel: document_ids must be integers, got {document_ids.dtype}.")
    if not is_readable(document_ids):
        return
    wrong = (document_ids[:, 1:] < document_ids[:, :-1]).nonzero()
    if len(wrong):
        row, place = wrong[0].tolist()
        first, then = document_ids[row, place : place + 2].tolist()
        raise ValueError(
            f"FlexiBertModel: document_ids must not decrease along a row, got {first} before {then} at token "
            f"{place + 1} of row {row}. Number documents, and padding after them, in their order."
        )


def _cross_entropy(logits: Tensor, labels: Tensor, num_items: Tensor | int | None = None) -> Tensor:
    """Mean over the labelled rows, or their sum over `num_items`, in nats, in float32 at least."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if num_items is None:
        return F.cross_entropy(logits, labels)
    if isinstance(num_items, Tensor):
        num_items = num_items.to(logits.device)
    return F.cross_entropy(logits, labels, reduction="sum") / num_items


class MaskedLMHead(nn.Module):
    """From the last layer's width back to that of the embeddings, then to the vocabulary."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.embedding_size)
        self.LayerNorm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.decoder = nn.Linear(config.embedding_size, config.vocab_size)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (…, h) -> scores (…, vocabulary)."""
        return self.decoder(self.LayerNorm(F.gelu(self.dense(x))))  # type: ignore[no-any-return]


class FlexiBertForMaskedLM(FlexiBertPreTrainedModel):
    """Predicts masked tokens; the output embeddings are the input ones."""

    _tied_weights_keys = {"lm_head.decoder.weight": "flexibert.embeddings.word_embeddings.weight"}
    # The Trainer hands over the number of predicted tokens of all accumulated batches and devices.
    accepts_loss_kwargs = True

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__(config)
        self.flexibert = FlexiBertModel(config)
        self.lm_head = MaskedLMHead(config)
        self.post_init()

    def get_output_embeddings(self) -> nn.Linear:
        """The projection to the vocabulary."""
        decoder: nn.Linear = self.lm_head.decoder
        return decoder

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Replace the projection to the vocabulary."""
        self.lm_head.decoder = new_embeddings

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        document_ids: Tensor | None = None,
        prediction_positions: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> MaskedLMOutput:
        """Score every token of the vocabulary at every place, or only where something is to be predicted.

        `labels` are the ids to predict, −100 where there is nothing to predict, shape (B, T). With
        `prediction_positions`, places in the own row of shape (B, P), only these P tokens a row are scored and `labels`
        has their shape; a row with fewer fills up with any place and the label −100. Every tensor keeps the rows as its
        first axis, so that a batch may be split among devices. All else as for `FlexiBertModel`.

        Returns:
            `logits` of shape (B, T, vocabulary), or (B, P, vocabulary), and, with labels, the mean cross-entropy in
            nats as `loss`; with `num_items_in_batch` the sum over that number, so that the losses of accumulated
            batches add up to the mean over all of their predicted tokens.

        Raises:
            ValueError: As for `FlexiBertModel`, if a label is beyond the vocabulary, a position beyond the row, or
                positions and labels differ in shape.
        """
        _check_ids("labels", labels, self.lm_head.decoder.out_features, IGNORED_LABEL)
        given = input_ids if inputs_embeds is None else inputs_embeds
        if given is not None and prediction_positions is not None:
            _check_positions(prediction_positions, labels, *given.shape[:2])
        output = self.flexibert(
            input_ids,
            attention_mask,
            token_type_ids,
            inputs_embeds,
            output_attentions,
            output_hidden_states,
            document_ids,
            return_dict=True,
        )
        states = output.last_hidden_state
        if prediction_positions is not None:
            states = states.gather(1, prediction_positions[..., None].expand(-1, -1, states.shape[-1]))
        logits = self.lm_head(states)
        loss = None
        if labels is not None:
            loss = _cross_entropy(logits.flatten(0, 1), labels.flatten(), num_items_in_batch)
        return MaskedLMOutput(
            loss=loss, logits=logits, hidden_states=output.hidden_states, attentions=output.attentions
        )


def _check_positions(positions: Tensor, labels: Tensor | None, num_rows: int, num_tokens: int) -> None:
    if positions.dim() != 2 or len(positions) != num_rows:
        raise ValueError(
            f"prediction_positions must have the shape ({num_rows}, predictions a row), got {tuple(positions.shape)}. "
            "Give places in their own row, and the label -100 where a row has fewer."
        )
    if labels is not None and labels.shape != positions.shape:
        raise ValueError(
            f"labels must have the shape {tuple(positions.shape)} of prediction_positions, got {tuple(labels.shape)}."
        )
    _check_ids("prediction_positions", positions, num_tokens)


def _classifier_dropout(config: FlexiBertConfig) -> nn.Dropout:
    return nn.Dropout(config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout)


class ClassificationHead(nn.Module):
    """Pooled sequence -> tanh layer -> scores."""

    def __init__(self, config: FlexiBertConfig, num_scores: int, bias: bool = True) -> None:
        super().__init__()
        self.pooling = config.classifier_pooling
        self.dense = HeadLinear(config.hidden_size, config.hidden_size)
        self.dropout = _classifier_dropout(config)
        self.out_proj = HeadLinear(config.hidden_size, num_scores, bias)

    def forward(self, x: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Tokens (B, T, h) and mask (B, T) -> scores (B, num_scores)."""
        real = torch.ones(x.shape[:2], device=x.device) if attention_mask is None else attention_mask
        if self.pooling == "first":
            pooled = x[torch.arange(len(x), device=x.device), real.to(torch.int8).argmax(dim=1)]
        else:
            weights = real.to(x.dtype)[..., None]
            pooled = (x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
        return self.out_proj(self.dropout(torch.tanh(self.dense(self.dropout(pooled)))))  # type: ignore[no-any-return]


class FlexiBertForSequenceClassification(FlexiBertPreTrainedModel):
    """Labels or scores a sentence or a pair."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__(config)
        self.flexibert = FlexiBertModel(config)
        self.classifier = ClassificationHead(config, config.num_labels or 2)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> SequenceClassifierOutput:
        """Score every label.

        `labels` are class numbers (B,); floats (B,) where `num_labels` is 1, or (B, labels) where `problem_type` is
        "regression"; 0/1 floats (B, labels) for several labels at once; all else as for `FlexiBertModel`.

        Returns:
            `logits` of shape (B, labels) and, with labels, the mean loss: squared error for one output, binary
            cross-entropy for several labels at once, else cross-entropy.

        Raises:
            ValueError: As for `FlexiBertModel`, or if a class number is beyond the labels.
        """
        output = self.flexibert(
            input_ids,
            attention_mask,
            token_type_ids,
            inputs_embeds,
            output_attentions,
            output_hidden_states,
            return_dict=True,
        )
        logits = self.classifier(output.last_hidden_state, attention_mask)
        return SequenceClassifierOutput(
            loss=None if labels is None else self._loss(logits, labels),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        kind = self.config.problem_type
        if kind == "regression" or (kind is None and self.config.num_labels == 1):
            return F.mse_loss(logits.float(), labels.float().reshape(logits.shape))
        if kind == "multi_label_classification" or (kind is None and labels.is_floating_point()):
            return F.binary_cross_entropy_with_logits(logits.float(), labels.float())
        _check_ids("labels", labels, self.config.num_labels or 2, IGNORED_LABEL)
        return _cross_entropy(logits, labels)


class FlexiBertForTokenClassification(FlexiBertPreTrainedModel):
    """Labels every token."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__(config)
        self.flexibert = FlexiBertModel(config)
        self.dropout = _classifier_dropout(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels or 2)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> TokenClassifierOutput:
        """Score every label at every token.

        `labels` are class numbers, −100 where there is nothing to predict, shape (B, T); all else as for
        `FlexiBertModel`.

        Returns:
            `logits` of shape (B, T, labels) and, with labels, the mean cross-entropy in nats as `loss`.

        Raises:
            ValueError: As for `FlexiBertModel`, or if a class number is beyond the labels.
        """
        _check_ids("labels", labels, self.config.num_labels or 2, IGNORED_LABEL)
        output = self.flexibert(
            input_ids,
            attention_mask,
            token_type_ids,
            inputs_embeds,
            output_attentions,
            output_hidden_states,
            return_dict=True,
        )
        logits = self.classifier(self.dropout(output.last_hidden_state))
        loss = None if labels is None else _cross_entropy(logits.flatten(0, 1), labels.flatten())
        return TokenClassifierOutput(
            loss=loss, logits=logits, hidden_states=output.hidden_states, attentions=output.attentions
        )


class FlexiBertForQuestionAnswering(FlexiBertPreTrainedModel):
    """Finds where an answer starts and ends."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__(config)
        self.flexibert = FlexiBertModel(config)
        self.qa_outputs = nn.Linear(config.hidden_size, 2, bias=False)  # the softmax over the tokens would ignore it
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> QuestionAnsweringModelOutput:
        """Score every token as start and as end.

        `start_positions` and `end_positions` are the first and last token of each answer, shape (B,); a place outside
        of the sequence is not learnt from; all else as for `FlexiBertModel`.

        Returns:
            `start_logits` and `end_logits` of shape (B, T) each and, with positions, the mean of both cross-entropies
            in nats as `loss`.

        Raises:
            ValueError: As for `FlexiBertModel`.
        """
        output = self.flexibert(
            input_ids,
            attention_mask,
            token_type_ids,
            inputs_embeds,
            output_attentions,
            output_hidden_states,
            return_dict=True,
        )
        start_logits, end_logits = self.qa_outputs(output.last_hidden_state).unbind(-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = (_place_loss(start_logits, start_positions) + _place_loss(end_logits, end_positions)) / 2
        return QuestionAnsweringModelOutput(
            loss=loss,
            start_logits=start_logits,
            end_logits=end_logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


def _place_loss(logits: Tensor, places: Tensor) -> Tensor:
    """Cross-entropy over the tokens; places outside of the sequence are left out."""
    outside = (places < 0) | (places >= logits.shape[1])
    return _cross_entropy(logits, places.masked_fill(outside, IGNORED_LABEL))


class FlexiBertForMultipleChoice(FlexiBertPreTrainedModel):
    """Chooses among several sequences."""

    def __init__(self, config: FlexiBertConfig) -> None:
        super().__init__(config)
        self.flexibert = FlexiBertModel(config)
        self.chooser = ClassificationHead(config, 1, bias=False)  # the softmax over the choices would ignore it
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
    ) -> MultipleChoiceModelOutput:
        """Score every choice.

        Ids, masks and embeddings have an axis of choices after the batch; `labels` are the numbers of the right
        choices, shape (B,); all else as for `FlexiBertModel`.

        Returns:
            `logits` of shape (B, choices) and, with labels, the mean cross-entropy in nats as `loss`.

        Raises:
            ValueError: As for `FlexiBertModel`, or if a label is beyond the choices.
        """
        given = input_ids if inputs_embeds is None else inputs_embeds
        num_choices = 1 if given is None else given.shape[1]
        input_ids, attention_mask, token_type_ids, inputs_embeds = (
            None if tensor is None else tensor.flatten(0, 1)
            for tensor in (input_ids, attention_mask, token_type_ids, inputs_embeds)
        )
        _check_ids("labels", labels, num_choices, IGNORED_LABEL)
        output = self.flexibert(
            input_ids,
            attention_mask,
            token_type_ids,
            inputs_embeds,
            output_attentions,
            output_hidden_states,
            return_dict=True,
        )
        logits = self.chooser(output.last_hidden_state, attention_mask).view(-1, num_choices)
        loss = None if labels is None else _cross_entropy(logits, labels)
        return MultipleChoiceModelOutput(
            loss=loss, logits=logits, hidden_states=output.hidden_states, attentions=output.attentions
        )
