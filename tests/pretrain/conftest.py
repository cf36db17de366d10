"""A tiny encoder, a tokenizer whose ids are known by hand, and one finished run that several tests look at."""

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast, set_seed

from design_space.architecture import Architecture, Layer
from design_space.model import FlexiBertForMaskedLM
from pretrain.arguments import PretrainArguments
from pretrain.corpus import PackedCorpus, pack
from pretrain.tokenizer import train_tokenizer
from pretrain.train import PretrainResult, build_model, pretrain

TINY = Architecture((Layer("sa", "sdp", 32, 2, (64,)),))
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
BLOCK_SIZE = 16


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Ctrl-C as in a terminal: what starts in the background of a shell inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees the corpora of another, nor those of the person who runs it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "boshnas" / "corpora"


@pytest.fixture(scope="session")
def documents() -> list[str]:
    """Four hundred documents of ten sentences: learnable in a few steps."""
    people = ["the doctor", "the girl", "the old thief", "a nurse", "the boy"]
    deeds = ["slept in the park .", "chased a dog ."]
    return [f"{people[i % 5]} {deeds[i // 5 % 2]}" for i in range(400)]


@pytest.fixture(scope="session")
def tokenizer(documents: list[str]) -> PreTrainedTokenizerFast:
    return train_tokenizer(documents, 300)


@pytest.fixture(scope="session")
def corpus(documents: list[str], tokenizer: PreTrainedTokenizerFast) -> PackedCorpus:
    return pack(documents, tokenizer, BLOCK_SIZE)


@pytest.fixture(scope="session")
def word_tokenizer() -> Callable[..., PreTrainedTokenizerFast]:
    """Maker of tokenizers with one id a word: the special tokens are 0 to 4, the words follow in their order."""

    def make(words: Sequence[str], **special: str | None) -> PreTrainedTokenizerFast:
        vocabulary = {token: number for number, token in enumerate((*SPECIAL, *words))}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        names: dict[str, str | None] = {"bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"} | special
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token="<pad>",
            unk_token="<unk>",
            **{name: token for name, token in names.items() if token},
        )

    return make


@dataclass
class Run:
    """A finished run and what it left."""

    model: FlexiBertForMaskedLM
    result: PretrainResult
    folder: Path
    steps: list[tuple[int, int]] = field(default_factory=list)


@pytest.fixture(scope="session")
def train_tiny(tokenizer: PreTrainedTokenizerBase) -> Callable[..., Run]:
    """Runner of a tiny pre-training: same arguments, same weights at the start."""

    def run(folder: Path, corpus: PackedCorpus, dropout: float = 0.1, **kwargs: Any) -> Run:
        settings = {"max_steps": 4, "learning_rate": 5e-3, "per_device_train_batch_size": 16, "logging_steps": 10}
        arguments = PretrainArguments(output_dir=str(folder), use_cpu=True, disable_tqdm=True, **settings | kwargs)
        set_seed(arguments.seed)
        rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
        model = build_model(TINY, tokenizer, 64, **rates)
        steps: list[tuple[int, int]] = []
        result = pretrain(model, tokenizer, corpus, arguments, report=lambda *step: steps.append(step))
        return Run(model, result, folder, steps)

    return run


@pytest.fixture(scope="session")
def finished(train_tiny: Callable[..., Run], corpus: PackedCorpus, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Eighty steps on the learnable corpus."""
    return train_tiny(tmp_path_factory.mktemp("pretrained") / "checkpoint", corpus, max_steps=80)
