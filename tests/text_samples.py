"""Sample documents, and what prepares them as text, for the tests."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from noiselab.data import text

SCRIPT = Path(__file__).resolve().parents[1] / "workflow" / "scripts" / "prepare_text.py"
SPEC = {"name": "sample", "kind": "text", "tokenizer": "bpe", "vocabulary": 300, "packages": []}
SPEC |= {"max_characters": None, "validation_share": 0.2, "hub": None, "text_column": "text"}
AWKWARD = [
    " leading and trailing spaces \n\n\n",
    "line ends \r\n of all \r kinds \n\t\x00\x1f",
    "naïve Ελλάδα 日本語 🙂 👩‍👩‍👧 e\u0301 \u200b\ufeff",
    "it spells <|endoftext|> out <|endoftext|>",
    "=" * 3000,
]


def sample_documents(n=60):
    """Distinct documents of random words, after the awkward ones."""
    rng = np.random.default_rng(0)
    letters = [*"abcdefghij", " ", "\n", "é"]
    return AWKWARD + ["".join(rng.choice(letters, rng.integers(20, 200))) for _ in range(n)]


def parquet(folder, documents, name="train-0.parquet"):
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"text": documents}), folder / name, row_group_size=7)
    return folder


def prepare(folder, spec=SPEC, source="source", out="out"):
    """Prepare in `folder`; the description, the tokenizer, and the tokens of each split."""
    text.prepare(spec, folder / source, folder / "gpt2", folder / "work", folder / out)
    description, *splits = text.read(folder / out)
    tokenizer = Tokenizer.from_file(str(folder / out / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return description, tokenizer, dict(zip(("train", "validation"), splits, strict=True))


def decoded(tokenizer, tokens, end):
    """The documents of an array, cut at end-of-text."""
    assert tokens[-1] == end
    cuts = np.flatnonzero(tokens == end)
    return [tokenizer.decode(part[part != end]) for part in np.split(tokens, cuts)][:-1]
