"""Small files of pairs, and what prepares them, for the tests."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noiselab.data import pairs

SPLITS = ("train", "validation")
LENGTHS = {"source_length": 10_000, "target_length": 1000}  # nothing is clipped
SIZES = {"train_size": None, "validation_size": None, "validation_share": 0.2}
FUNCTIONS = {"name": "code", "kind": "docstring_pairs", "packages": ["tqdm", "jinja2", "yaml"]}
FUNCTIONS |= {"source_field": "body", "vocabulary": 400} | LENGTHS | SIZES
FILES = {"name": "sample", "kind": "pairs", "hub": None, "hub_folder": None}
FILES |= {"source_column": "en", "target_column": "de", "vocabulary": 300} | LENGTHS | SIZES
FILES |= {"train_files": "train*", "validation_files": "validation*"}


def sentences(n, seed=0):
    """Distinct sentences of random words."""
    rng = np.random.default_rng(seed)
    words = ["ab", "cde", "fgh", "ij", "été", "日本", "</s>", "\n", "k"]
    return [f"{i} " + " ".join(rng.choice(words, rng.integers(3, 30))) for i in range(n)]


def parquet(path, sources, targets, struct=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = {"en": sources, "de": targets}
    if struct:
        rows = [dict(zip(table, row, strict=True)) for row in zip(sources, targets, strict=True)]
        table = {"translation": rows}
    pq.write_table(pa.table(table), path, row_group_size=7)


def sample(folder, struct=False):
    """A folder of 60 training pairs in two files and 20 for validation; the pairs by split."""
    sources, targets = sentences(80), sentences(80, seed=1)
    for name, part in {"train-0": (0, 30), "train-1": (30, 60), "validation": (60, 80)}.items():
        start, stop = part
        file = folder / "source" / f"{name}.parquet"
        parquet(file, sources[start:stop], targets[start:stop], struct)
    both = list(zip(sources, targets, strict=True))
    return {"train": both[:60], "validation": both[60:]}


def prepare(folder, spec=FILES, source="source", out="out"):
    """Prepare in `folder`; the description, and the pairs of each split as texts again."""
    pairs.prepare(spec, folder / source, folder / out)
    description, *splits = pairs.read(folder / out)
    tokenizer = pairs.tokenizer(folder / out)
    return description, dict(zip(SPLITS, (decoded(tokenizer, s) for s in splits), strict=True))


def decoded(tokenizer, split):
    texts = ([tokenizer.decode(side.get(i)) for i in range(side.count)] for side in split)
    return list(zip(*texts, strict=True))


def files(folder):
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir())}
