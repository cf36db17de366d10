"""A folder with everything that the commands of the documentation take for granted, small."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from shown import ROOT, files
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizerFast,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from pretrain import demo
from pretrain.tokenizer import train_tokenizer

RECIPE = """
max_steps: 2
per_device_train_batch_size: 4
max_seq_length: 32
learning_rate: 1.0e-3
warmup_steps: 1
vocab_size: 400
"""
SUBMITTED = 1063  # test rows of CoLA, which a submission must have


@pytest.fixture(scope="session")
def materials(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> Path:
    folder = tmp_path_factory.mktemp("materials")
    sentences = list(demo.corpus(600))
    (folder / "my-text").mkdir()
    (folder / "my-text" / "some.txt").write_text("\n".join(sentences))
    (folder / "tiny.yaml").write_text(tiny_text)
    (folder / "short.yaml").write_text(RECIPE)
    for name, text in files().items():
        (folder / name).write_text(text)
    _glue(folder / "my-glue", sentences)
    _tables(folder, sentences)
    _checkpoints(folder, sentences)
    return folder


@pytest.fixture
def place(materials: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the materials, as the working folder; what is changed in the process is put back."""
    folder = tmp_path / "place"
    shutil.copytree(materials, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    threads = torch.get_num_threads()
    yield folder
    torch.set_num_threads(threads)


def _lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _glue(folder: Path, sentences: Sequence[str]) -> None:
    single = [{"sentence": text, "label": number % 2} for number, text in enumerate(sentences)]
    pairs = [
        {"sentence1": one, "sentence2": other, "label": number % 2}
        for number, (one, other) in enumerate(zip(sentences, sentences[1:], strict=False))
    ]
    for task, rows in (("cola", single), ("mrpc", pairs)):
        _lines(folder / task / "train.jsonl", rows[:500])
        _lines(folder / task / "validation.jsonl", rows[500:540])
    tests = [{"sentence": sentences[number % len(sentences)], "idx": number} for number in range(SUBMITTED)]
    _lines(folder / "cola" / "test.jsonl", tests)


def _tables(folder: Path, sentences: Sequence[str]) -> None:
    titles, bodies = sentences[:120], sentences[120:240]
    reviews = {"title": titles, "body": bodies, "text": bodies, "stars": ["good", "bad"] * 60}
    for name in ("reviews.csv", "new.csv"):
        pd.DataFrame(reviews).to_csv(folder / name, index=False)
    pd.DataFrame({"article": bodies, "summary": titles}).to_csv(folder / "news.csv", index=False)
    _lines(
        folder / "facts.jsonl",
        [{"question": body, "answer": title} for body, title in zip(bodies, titles, strict=True)],
    )
    answers = [{"text": title, "answer_start": 0} for title in titles]
    asked = [
        {"id": str(number), "question": body, "answers": [answer], "is_impossible": False}
        for number, (body, answer) in enumerate(zip(bodies, answers, strict=True))
    ]
    paragraphs = [{"context": answer["text"], "qas": [one]} for answer, one in zip(answers, asked, strict=True)]
    for name in ("train-v2.0.json", "dev-v2.0.json"):
        (folder / name).write_text(json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}))


def _checkpoints(folder: Path, sentences: Sequence[str]) -> None:
    tokenizer: PreTrainedTokenizerFast = train_tokenizer(sentences, 400)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    tokens = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = T5Config(vocab_size=len(tokenizer), decoder_start_token_id=tokenizer.pad_token_id, **sizes, **tokens)
    T5ForConditionalGeneration(config).save_pretrained(folder / "t5")
    tokenizer.save_pretrained(folder / "t5")
    words = sorted({word for text in sentences for word in text.split()})
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    bert = BertTokenizerFast(vocab=str(folder / "vocab.txt"))
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertForMaskedLM(BertConfig(vocab_size=len(bert), max_position_embeddings=64, **sizes)).save_pretrained(
        folder / "bert"
    )
    bert.save_pretrained(folder / "bert")
