"""Published architectures by name."""

from design_space.architecture import Architecture
from design_space.errors import InputError, did_you_mean
from design_space.layer import Layer


def _uniform(
    operation: str, parameter: str, num_layers: int, hidden_size: int, num_heads: int, feed_forward: int
) -> Architecture:
    return Architecture((Layer(operation, parameter, hidden_size, num_heads, (feed_forward,)),) * num_layers)


PRESETS: dict[str, Architecture] = {
    # Turc et al. (2019), arXiv:1908.08962, table 1.
    "bert_tiny": _uniform("sa", "sdp", 2, 128, 2, 512),
    "bert_mini": _uniform("sa", "sdp", 4, 256, 4, 1024),
    "bert_small": _uniform("sa", "sdp", 4, 512, 8, 2048),
    # FNet (arXiv:2105.03824) and ConvBERT (arXiv:2008.02496) at the size of BERT-Mini.
    "fnet_mini": _uniform("l", "dft", 4, 256, 4, 1024),
    "convbert_mini": _uniform("c", "9", 4, 256, 4, 1024),
    # Tuli et al. (2023), JAIR 77, the best of their search.
    "flexibert_mini": Architecture(
        (Layer("sa", "sdp", 256, 2, (512, 512, 512)),) * 2 + (Layer("l", "dct", 128, 4, (1024,)),) * 2
    ),
    "flexibert_large": Architecture(
        (Layer("sa", "sdp", 1024, 8, (2048, 2048, 2048)),) * 12 + (Layer("l", "dct", 512, 16, (4096,)),) * 12
    ),
}


def preset(name: str) -> Architecture:
    """The architecture of a name.

    Raises:
        InputError: If there is none, with the names there are.
    """
    if name not in PRESETS:
        hint = did_you_mean(name, PRESETS)
        raise InputError(f"architecture: must be one of {', '.join(PRESETS)}, got {name!r}.{hint}")
    return PRESETS[name]
