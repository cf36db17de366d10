"""Configuration of a FlexiBERT encoder. Travels with an export, so it imports transformers alone."""

from copy import deepcopy
from typing import Any, Self

from transformers import PreTrainedConfig

_BERT_MINI = {
    "l": 4,
    "o": ["sa"] * 4,
    "h": [256] * 4,
    "n": [4] * 4,
    "f": [[1024]] * 4,
    "p": ["sdp"] * 4,
}
_CHOICES = {
    "position_embedding_type": ("relative_key", "absolute"),
    "transform_norm": ("ortho", "backward"),
    "classifier_pooling": ("mean", "first"),
}


class FlexiBertConfig(PreTrainedConfig):
    """Sizes and operations of every layer, and what all layers share.

    Attributes:
        model_dict: Published JSON form of the architecture: `l` layers, and per layer the operation `o`, hidden size
            `h`, number of heads `n`, feed-forward sizes `f`, parameter of the operation `p`. BERT-Mini by default.
        vocab_size: Entries of the tokenizer.
        max_position_embeddings: Longest sequence in tokens.
        type_vocab_size: Segments a token may belong to.
        position_embedding_type: "relative_key" (scores by distance in every layer, Shaw et al. 2018) or "absolute".
        transform_norm: "ortho" keeps the scale of a layer's input; "backward" is the plain sum, as in FNet.
        classifier_pooling: What a sequence classifier reads: the "mean" of the real tokens, or the "first" one.
        hidden_dropout_prob: After embeddings, operations and feed-forwards, in [0, 1).
        attention_probs_dropout_prob: On attention probabilities, in [0, 1).
        classifier_dropout: Before the classifier; `hidden_dropout_prob` where None.
        layer_norm_eps: Added to variances.
        initializer_range: Standard deviation of initial weights.

    Raises:
        ValueError: If `model_dict` is not consistent, or an option is unknown.
    """

    model_type = "flexibert"

    model_dict: dict[str, Any] | None = None
    vocab_size: int = 50265
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    position_embedding_type: str = "relative_key"
    transform_norm: str = "ortho"
    classifier_pooling: str = "mean"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float | None = None
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 2
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        if self.model_dict is None:
            self.model_dict = deepcopy(_BERT_MINI)
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}.")
        _check_model_dict(self.model_dict)
        super().__post_init__(**kwargs)

    @classmethod
    def from_architecture(cls, architecture: Any, **kwargs: Any) -> Self:
        """Configuration of a `design_space.Architecture`; `kwargs` set the other attributes.

        Raises:
            ValueError: If each head has its own operation, which the model does not have yet.
        """
        assert architecture.uniform_layers
        return cls(model_dict=architecture.to_model_dict(), **kwargs)

    @property
    def num_hidden_layers(self) -> int:
        """Number of layers."""
        return int(self._column("l"))

    @property
    def embedding_size(self) -> int:
        """Width of the embeddings, that of the first layer."""
        return int(self._column("h")[0])

    @property
    def hidden_size(self) -> int:
        """Width of the last layer, hence of `last_hidden_state`."""
        return int(self._column("h")[-1])

    def _column(self, key: str) -> Any:
        assert self.model_dict is not None
        return self.model_dict[key]


def _check_model_dict(model_dict: dict[str, Any]) -> None:
    """Refuse what the model could not be built from."""
    if unknown := sorted(set(model_dict) - {"l", "o", "h", "n", "f", "p"}):
        raise ValueError(f"model_dict: unknown key {unknown[0]!r}; give only l, o, h, n, f and p.")
    missing = [key for key in ("l", "o", "h", "n", "f", "p") if key not in model_dict]
    if missing:
        raise ValueError(f"model_dict: key {missing[0]!r} is missing; it needs l, o, h, n, f and p.")
    for key in ("o", "h", "n", "f", "p"):
        if len(model_dict[key]) != model_dict["l"]:
            raise ValueError(f"model_dict: {key} must have l = {model_dict['l']} entries, got {len(model_dict[key])}.")
    if model_dict["l"] < 1:
        raise ValueError(f"model_dict: l must be at least 1, got {model_dict['l']!r}.")
    for number, (o, h, n, f, p) in enumerate(zip(*(model_dict[key] for key in "ohnfp"), strict=True)):
        where = f"model_dict: layer {number}"
        if isinstance(o, list):
            raise ValueError(f"{where}: one operation a head is not supported; give one a layer.")
        if o not in ("sa", "l", "c"):
            raise ValueError(f"{where}: o must be sa, l or c, got {o!r}.")
        if any(not isinstance(size, int) or size < 1 for size in (h, n, *f)) or not f:
            raise ValueError(f"{where}: h, n and each f must be positive integers, got {h!r}, {n!r} and {f!r}.")
        if h % n:
            raise ValueError(f"{where}: h must be divisible by n, got {h} and {n}.")
        if o == "c" and (not str(p).isdecimal() or int(p) % 2 == 0 or h % (2 * max(1, n // 2))):
            raise ValueError(f"{where}: c needs an odd kernel p and h divisible by 2 · max(1, n // 2), got {p!r}, {h}.")
        if o != "c" and p not in (("sdp", "wma") if o == "sa" else ("dft", "dct")):
            raise ValueError(f"{where}: p of {o} must be {'sdp or wma' if o == 'sa' else 'dft or dct'}, got {p!r}.")
