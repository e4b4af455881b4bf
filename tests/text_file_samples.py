"""Small texts and pairs, and why files of them are refused, for the tests."""

from pathlib import Path

import numpy as np
import pytest

from noiselab.data import pairs, text
from noiselab.errors import NoiselabError

SPEC = {"name": "own", "kind": "text", "tokenizer": "bpe", "vocabulary": 280, "hub": None}
SPEC |= {"max_characters": None, "validation_share": 0.3, "text_column": "text"}
PAIRS = {"name": "two", "kind": "pairs", "hub": None, "vocabulary": 280, "score": "bleu"}
PAIRS |= {"source_column": "en", "target_column": "de", "train_files": "train*"}
PAIRS |= {"validation_files": "val*", "source_length": 500, "target_length": 500}
PAIRS |= {"train_size": None, "validation_size": None, "validation_share": 0.3}
LETTERS = [*"abcdefghij", " ", "é", "日"]


def sentences(n: int, seed: int = 0) -> list[str]:
    """Distinct sentences of random letters."""
    rng = np.random.default_rng(seed)
    return [f"{i} " + "".join(rng.choice(LETTERS, rng.integers(20, 90))) for i in range(n)]


WHOLE = "\n".join(sentences(40))


def refused(folder: Path, change=None, spec=SPEC) -> str:
    """The one line that tells why `folder`/source cannot be prepared."""
    module, more = (text, (folder, folder / "work")) if spec["kind"] == "text" else (pairs, ())
    with pytest.raises(NoiselabError) as error:
        module.prepare(spec | (change or {}), folder / "source", *more, folder / "out")
    assert "\n" not in str(error.value)
    assert not (folder / "out" / "dataset.json").exists()
    return str(error.value)


def source_folder(tmp_path: Path) -> Path:
    """A fixture: the folder that `refused` prepares."""
    (tmp_path / "source").mkdir()
    return tmp_path / "source"
