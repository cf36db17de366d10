"""Exactness of the model: the same outputs as transformers with the same weights, padding, and the parameter count.

usage: python benchmarks/model_exact.py [--architectures 1000] [--out FILE.md]

Checkpoints at the size of BERT-Mini, every weight drawn from N(0, 0.05) (layer norms around 1), are saved to disk and
converted by `design_space.model.convert`. Differences are the greatest of any real token and channel, in float32.
"""

import tempfile
from collections.abc import Callable

import numpy as np
import outcome
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, ConvBertConfig, ConvBertModel, FNetConfig, FNetModel, PreTrainedModel

from design_space import Architecture, DesignSpace
from design_space.counts import num_parameters
from design_space.model import FlexiBertConfig, FlexiBertModel
from design_space.model.convert import convert
from design_space.model.presets import preset

VOCAB_SIZE = 4096
LENGTH = 128
SHARED = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "intermediate_size": 1024,
    "hidden_act": "gelu",
}


@torch.no_grad()
def drawn(model: PreTrainedModel) -> PreTrainedModel:
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        weight.normal_(0.0, 0.05, generator=generator)
    for part in model.modules():
        if isinstance(part, nn.LayerNorm):
            part.weight += 1.0
    if isinstance(model, FNetModel):
        projection = model.embeddings.projection.weight
        projection.copy_(torch.eye(len(projection)))
    return model.eval()


@torch.no_grad()
def parity(source: PreTrainedModel, is_padded: bool) -> float:
    """Greatest difference between a checkpoint and the FlexiBERT that it becomes."""
    with tempfile.TemporaryDirectory() as folder:
        drawn(source).save_pretrained(folder)
        model = convert(folder).model.eval()
    ids = torch.randint(VOCAB_SIZE, (4, LENGTH), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    if is_padded:
        for row, length in enumerate((1, LENGTH // 3, LENGTH - 1, LENGTH)):
            mask[row, length:] = 0
    given = {"attention_mask": mask} if is_padded else {}
    gap = model(ids, **given).last_hidden_state - source(ids, **given).last_hidden_state
    return float(gap[mask.bool()].abs().max())


@torch.no_grad()
def padding(architecture: Architecture, positions: str) -> float:
    """Greatest difference of a sequence alone and padded on either side in a batch."""
    config = FlexiBertConfig.from_architecture(
        architecture, vocab_size=VOCAB_SIZE, position_embedding_type=positions, max_position_embeddings=160
    )
    torch.manual_seed(0)
    model = FlexiBertModel(config).eval()
    rows = [torch.randint(VOCAB_SIZE, (length,)) for length in (1, 17, 64, 100, 150)]
    worst = 0.0
    for left in (False, True):
        ids, mask = torch.randint(VOCAB_SIZE, (len(rows), 160)), torch.zeros(len(rows), 160, dtype=torch.long)
        for number, row in enumerate(rows):
            place = slice(160 - len(row), 160) if left else slice(0, len(row))
            ids[number, place], mask[number, place] = row, 1
        together: Tensor = model(ids, attention_mask=mask).last_hidden_state
        for number, row in enumerate(rows):
            alone = model(row[None]).last_hidden_state[0]
            worst = max(worst, float((together[number][mask[number] == 1] - alone).abs().max()))
    return worst


def counted(num_architectures: int, seed: int) -> tuple[int, int]:
    """Random architectures of two spaces, and how many of them the model counts otherwise."""
    rng = np.random.default_rng(seed)
    wrong = 0
    for number in range(num_architectures):
        space = DesignSpace.load(("flexibert_mini", "flexibert_small")[number % 2])
        architecture = space.sample(space.levels[-1], 1, rng)[0]
        relative = bool(rng.integers(2))
        vocab_size, max_positions = int(rng.integers(100, 60_000)), int(rng.integers(8, 1024))
        with torch.device("meta"):
            model = FlexiBertModel(
                FlexiBertConfig.from_architecture(
                    architecture,
                    vocab_size=vocab_size,
                    max_position_embeddings=max_positions,
                    position_embedding_type="relative_key" if relative else "absolute",
                )
            )
        given = {"vocab_size": vocab_size, "max_positions": max_positions, "relative": relative}
        wrong += model.num_parameters() != num_parameters(architecture, **given)
    return num_architectures, wrong


def main() -> None:
    parser = outcome.parser(__doc__)
    parser.add_argument("--architectures", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    attending = SHARED | {"num_attention_heads": 4}
    sources: list[tuple[str, Callable[[], PreTrainedModel], bool]] = [
        ("`BertModel`, unpadded", lambda: BertModel(BertConfig(**attending)), False),
        ("`BertModel`, padded on the right", lambda: BertModel(BertConfig(**attending)), True),
        ("`FNetModel` (l/dft), unpadded", lambda: FNetModel(FNetConfig(**SHARED)), False),
        (
            "`ConvBertModel` (c/9), unpadded",
            lambda: ConvBertModel(ConvBertConfig(**attending, embedding_size=256)),
            False,
        ),
    ]
    body = "| what | asked | measured |\n|---|---:|---:|\n"
    for name, build, is_padded in sources:
        body += f"| same outputs as {name} | <= 1e-5 | {parity(build(), is_padded):.1e} |\n"
    for name in ("bert_mini", "fnet_mini", "convbert_mini", "flexibert_mini"):
        worst = max(padding(preset(name), positions) for positions in ("relative_key", "absolute"))
        body += f"| padding, {name}, both kinds of positions | <= 1e-5 | {worst:.1e} |\n"
    total, wrong = counted(arguments.architectures, arguments.seed)
    body += f"| closed form unlike `num_parameters()`, of {total:,} random architectures | 0 | {wrong} |\n"
    ours, theirs = (num_parameters(preset(name), relative=False) for name in ("flexibert_mini", "bert_mini"))
    body += f"| FlexiBERT-Mini below BERT-Mini, absolute positions | 2 to 4 % | {100 * (1 - ours / theirs):.2f} % |\n"
    setting = f"CPU, float32; {VOCAB_SIZE:,} entries, {LENGTH} tokens; seed {arguments.seed}."
    outcome.publish("Exactness of the model", ["torch", "transformers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
