"""How a worker is told to compute with its share of the cores."""

_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "RAYON_NUM_THREADS",
)


def thread_environment(num_threads: int | str) -> dict[str, str]:
    """Variables of the environment which hold a process to so many threads, a number or what a shell makes one of."""
    return dict.fromkeys(_VARIABLES, str(num_threads)) | {"TOKENIZERS_PARALLELISM": "false"}
