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
_SIZES = ("vocab_size", "max_position_embeddings", "type_vocab_size")
_PROBABILITIES = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
_KEYS = ("l", "o", "h", "n", "f", "p")
_PARAMETERS = {"sa": ("sdp", "wma"), "l": ("dft", "dct")}


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
        for name in _SIZES:
            if not _is_size(getattr(self, name)):
                raise ValueError(f"{name} must be a positive integer, got {getattr(self, name)!r}.")
        for name in _PROBABILITIES:
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {value!r}.")
        if self.pad_token_id is not None and not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(f"pad_token_id must be below vocab_size = {self.vocab_size}, got {self.pad_token_id!r}.")
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


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_model_dict(model_dict: Any) -> None:
    """Refuse what the model could not be built from, naming layer and field."""
    if not isinstance(model_dict, dict) or set(model_dict) != set(_KEYS):
        given = ", ".join(map(str, model_dict)) if isinstance(model_dict, dict) else repr(model_dict)
        raise ValueError(f"model_dict must have the keys l, o, h, n, f and p, got {given}.")
    num_layers = model_dict["l"]
    if not _is_size(num_layers):
        raise ValueError(f"model_dict: l must be a positive integer, got {num_layers!r}.")
    for key in _KEYS[1:]:
        column = model_dict[key]
        if not isinstance(column, list | tuple) or len(column) != num_layers:
            count = len(column) if isinstance(column, list | tuple) else repr(column)
            raise ValueError(f"model_dict: {key} must be a list of l = {num_layers} entries, got {count}.")
    for number in range(num_layers):
        _check_layer(f"model_dict: layer {number}", *(model_dict[key][number] for key in _KEYS[1:]))


def _check_layer(where: str, o: Any, h: Any, n: Any, f: Any, p: Any) -> None:
    if isinstance(o, list | tuple):
        raise ValueError(f"{where}: one operation a head is not supported; give one a layer.")
    if o not in ("sa", "l", "c"):
        raise ValueError(f"{where}: o must be sa, l or c, got {o!r}.")
    for name, size in (("h", h), ("n", n)):
        if not _is_size(size):
            raise ValueError(f"{where}: {name} must be a positive integer, got {size!r}.")
    if not isinstance(f, list | tuple) or not f or not all(map(_is_size, f)):
        raise ValueError(f"{where}: f must be a list of one or more positive integers, got {f!r}.")
    if h % n:
        raise ValueError(f"{where}: h must be divisible by n, got {h} and {n}.")
    if o != "c":
        if p not in _PARAMETERS[o]:
            raise ValueError(f"{where}: p of {o} must be {' or '.join(_PARAMETERS[o])}, got {p!r}.")
        return
    if isinstance(p, bool) or not str(p).isdecimal() or int(p) % 2 == 0:
        raise ValueError(f"{where}: p of c must be an odd kernel size, got {p!r}.")
    if h % (2 * max(1, n // 2)):
        raise ValueError(f"{where}: h of c must be divisible by 2 · max(1, n // 2) = {2 * max(1, n // 2)}, got {h}.")
