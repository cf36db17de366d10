"""The embedded synthetic tasks: nine tasks in the schema of GLUE, generated, so that a search runs offline.

Field names and label codes are those of the `glue` data set on the Hugging Face Hub; not one sentence is. Every label
follows from the grammar of `pretrain.demo_grammar` without noise, so a perfect model scores 100. Each task is a mixture
of kinds of row (`KINDS`): some are decided by the words alone and are learnt in tens of steps, the others take
structure, such as who did it to whom. What a bag of words reaches: `benchmarks/results/demo_bag_of_words.md`.
"""

from hashlib import blake2b
from random import Random
from types import MappingProxyType

from design_space.errors import InputError
from finetune.demo import inference as demo_inference
from finetune.demo import judgements as demo_judgements
from finetune.demo import paraphrase as demo_paraphrase
from finetune.demo.rows import Kind, Row, Tasks

KINDS: Tasks = MappingProxyType({**demo_judgements.TASKS, **demo_paraphrase.TASKS, **demo_inference.TASKS})
NUM_TRAIN = MappingProxyType(dict.fromkeys(KINDS, 2000))
NUM_VALIDATION = MappingProxyType(dict.fromkeys(KINDS, 400))
DEFAULT_NUM_ROWS = MappingProxyType({"train": NUM_TRAIN, "validation": NUM_VALIDATION})

# One text in this many belongs to the validation split, whatever the seed.
_VALIDATION_SHARE = 6
_MAX_DRAWS = 1000


def _text(row: Row) -> str:
    return "\n".join(str(value) for field, value in row.items() if field != "label")


def _split_of(text: str) -> str:
    digest = blake2b(text.encode(), digest_size=4).digest()
    return "validation" if int.from_bytes(digest) % _VALIDATION_SHARE == 0 else "train"


def _draw(kind: Kind, split: str, seen: set[str], rng: Random) -> Row | None:
    for _ in range(_MAX_DRAWS):
        row = kind.draw(rng)
        text = _text(row)
        if text not in seen and _split_of(text) == split:
            seen.add(text)
            return row
    return None


def demo_task(task: str, split: str, num_rows: int | None = None, seed: int = 0) -> list[Row]:
    """Generate one split of a synthetic task.

    The hash of a row's text decides its split, so no text is in both, for any seeds and numbers of rows. In each block
    of 100 rows every kind has exactly its share, in a random order.

    Args:
        task: name of a GLUE task in lower case: cola, sst2, mrpc, qqp, stsb, mnli, qnli, rte or wnli.
        split: "train" or "validation".
        num_rows: number of rows, at least 1; 2,000 for training and 400 for validation where it is None.
        seed: the same seed gives the same rows in any process.

    Returns:
        Rows with the text fields of the task, `label` (a float in [0, 5] for stsb, else GLUE's integer code) and `idx`
        (0, 1, …). No two rows have the same text.

    Raises:
        InputError: if task or split is unknown, or num_rows is below 1 or more than the grammar can tell apart.

    Example:
        >>> sorted(demo_task("mnli", "validation", 2)[0])
        ['hypothesis', 'idx', 'label', 'premise']
    """
    if task not in KINDS:
        raise InputError(f"demo_task: task must be one of {', '.join(KINDS)}, got {task!r}. Name one of these.")
    if split not in DEFAULT_NUM_ROWS:
        raise InputError(f"demo_task: split must be train or validation, got {split!r}. Name one of these.")
    count = DEFAULT_NUM_ROWS[split][task] if num_rows is None else num_rows
    if count < 1:
        raise InputError(f"demo_task: num_rows must be at least 1, got {num_rows!r}. Ask for more rows.")
    rng = Random(f"{task}-{split}-{seed}")
    seen: set[str] = set()
    rows: list[Row] = []
    order: list[Kind] = []
    while len(rows) < count:
        if not order:
            order = [kind for kind in KINDS[task] for _ in range(kind.percent)]
            rng.shuffle(order)
        row = _draw(order.pop(), split, seen, rng)
        if row is None:
            raise InputError(
                f"demo_task: num_rows must be at most the number of texts of {task} ({split}), got {count!r}. "
                f"Ask for {len(rows)} rows or fewer."
            )
        rows.append({**row, "idx": len(rows)})
    return rows
