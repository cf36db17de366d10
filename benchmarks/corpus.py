"""Memory and time of preparing a large corpus, and of opening it again.

usage: python benchmarks/corpus.py TEXT [--megabytes 1000] [--vocab-size 8192] [--out FILE.md]

TEXT is a folder of .txt files with real text. Its lines are repeated with a counter in front until there are so many
megabytes of distinct documents. A fresh process trains a tokenizer on them and packs them; another opens both from the
cache and takes the first batch.
"""

import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import outcome

from pretrain.cache import packed, trained_tokenizer
from pretrain.documents import read_documents
from pretrain.mixture import Mixture

BLOCK_SIZE = 128
BATCH = 256


def write_text(source: str, target: Path, num_bytes: int) -> int:
    """Fill a file with distinct documents; how many."""
    documents = list(read_documents(source))
    written = number = 0
    with target.open("wb") as file:
        for number, document in enumerate(itertools.cycle(documents), start=1):
            written += file.write(f"{number} {document}\n".encode())
            if written >= num_bytes:
                break
    return number


def prepare(text: str, cache: str, vocab_size: int) -> dict[str, float]:
    """What one process does before it trains: tokenizer, corpus, first batch."""
    rest = peak_bytes()
    start = time.perf_counter()
    mixture = Mixture.of([text])
    tokenizer = trained_tokenizer(mixture, vocab_size, cache_dir=Path(cache))
    tokenizer_s, tokenizer_bytes = time.perf_counter() - start, peak_bytes()
    start = time.perf_counter()
    corpus = packed(mixture, tokenizer, BLOCK_SIZE, Path(cache))
    packed_s = time.perf_counter() - start
    start = time.perf_counter()
    batch = corpus.train[:: max(1, len(corpus.train) // BATCH)][:BATCH].copy()
    return {
        "tokenizer_s": tokenizer_s,
        "packed_s": packed_s,
        "batch_s": time.perf_counter() - start,
        "tokens": corpus.train.size,
        "held_out": len(corpus.held_out) / (len(corpus.held_out) + len(corpus.train)),
        "batch_tokens": batch.size,
        "imports_bytes": rest,
        "tokenizer_bytes": tokenizer_bytes,
        "peak_bytes": peak_bytes(),
    }


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_a_fresh_process(*words: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--prepare", *words]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def main() -> None:
    if sys.argv[1:2] == ["--prepare"]:
        text, cache, vocab_size = sys.argv[2:]
        sys.stdout.write(json.dumps(prepare(text, cache, int(vocab_size))) + "\n")
        return
    parser = outcome.parser(__doc__)
    parser.add_argument("text")
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--vocab-size", type=int, default=8192)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(scratch, "text.txt")
        num_documents = write_text(arguments.text, text, int(arguments.megabytes * 1e6))
        words = (str(text), str(Path(scratch, "cache")), str(arguments.vocab_size))
        first, again = (in_a_fresh_process(*words) for _ in range(2))
    body = f"""
| what | asked | first process | next process |
|---|---:|---:|---:|
| seconds for the tokenizer | | {first["tokenizer_s"]:.1f} | {again["tokenizer_s"]:.2f} |
| seconds for the packed corpus | | {first["packed_s"]:.1f} | {again["packed_s"]:.2f} |
| seconds for a batch of {BATCH} blocks from all over | | {first["batch_s"]:.3f} | {again["batch_s"]:.3f} |
| peak resident memory, MB | < 1,500 | {first["peak_bytes"] / 1e6:,.0f} | {again["peak_bytes"] / 1e6:,.0f} |
| after the tokenizer | | {first["tokenizer_bytes"] / 1e6:,.0f} | {again["tokenizer_bytes"] / 1e6:,.0f} |
| before any text | | {first["imports_bytes"] / 1e6:,.0f} | {again["imports_bytes"] / 1e6:,.0f} |

{first["tokens"] / 1e6:.1f} M tokens for training, {100 * first["held_out"]:.1f} % of all blocks held out. The time of \
the next process is that of hashing the text (it does so once) and of mapping the files.
"""
    setting = (
        f"{arguments.megabytes:,.0f} MB, {num_documents:,} documents made of `{Path(arguments.text).name}`; "
        f"byte-level BPE of {arguments.vocab_size:,} entries, blocks of {BLOCK_SIZE} tokens."
    )
    outcome.publish("Corpora", ["datasets", "pyarrow", "tokenizers"], setting, body, arguments.out)


if __name__ == "__main__":
    main()
