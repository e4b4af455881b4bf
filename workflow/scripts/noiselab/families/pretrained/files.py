"""The files of a model that was trained elsewhere: weights as safetensors, which carry no code,
settings and tokenizer.
"""

import hashlib
from pathlib import Path

from noiselab.errors import NoiselabError
from noiselab.files import digest, read_json

WEIGHTS, SETTINGS = "*.safetensors", "config.json"
PATTERNS = (WEIGHTS, "*.json", "*.txt", "*.model")
WIDTHS = ("hidden_size", "n_embd", "d_model", "dim", "num_features")  # keys of config.json
DEPTHS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
END = 2**20  # bytes of a file's beginning and end that its digest is of: a training changes both


def described(folder: Path) -> dict:
    """What a folder has: `layout`, transformers or timm; `files`, the digest of all; `model`, width
    and layers of the network, where config.json says them. NoiselabError: it has no model."""
    if not folder.is_dir():
        raise NoiselabError(f"{folder}: no such folder of a model")
    if not (folder / SETTINGS).is_file():
        raise NoiselabError(
            f"{folder}: no {SETTINGS}, so it is no model that transformers or timm has saved"
        )
    settings = read_json(folder / SETTINGS)
    if not list(folder.glob(WEIGHTS)):
        raise NoiselabError(
            f"{folder}: no {WEIGHTS}; weights of other forms may carry code, so save it again "
            "with safetensors"
        )
    names = sorted({file.name for pattern in PATTERNS for file in folder.glob(pattern)})
    sizes = {"width": _first(settings, WIDTHS), "layers": _first(settings, DEPTHS)}
    return {
        "layout": "timm" if "architecture" in settings else "transformers",
        "files": digest([[name, *_ends(folder / name)] for name in names]),
        "model": {key: value for key, value in sizes.items() if value},
    }


def _first(settings: dict, keys: tuple[str, ...]) -> int | None:
    found = (settings.get(key) for key in keys)
    return next((value for value in found if isinstance(value, int) and value > 0), None)


def _ends(file: Path) -> tuple[int, str]:
    """Size of a file, and the digest of its beginning and end: weights may have many gigabytes."""
    try:
        size = file.stat().st_size
        with open(file, "rb") as content:
            found = hashlib.sha256(content.read(END))
            content.seek(max(0, size - END))
            found.update(content.read(END))
    except OSError as error:
        raise NoiselabError(f"cannot read {file} ({error.strerror})") from error
    return size, found.hexdigest()


def download(hub: str, folder: Path) -> None:
    """Fetch a repository of the Hugging Face hub."""
    from noiselab.data import text_sources  # a plan, which reads folders, does without

    text_sources.snapshot(hub, list(PATTERNS), folder, "model")


def available(hub: str, timeout: float) -> int:
    """Bytes that download() would fetch; asks the hub."""
    from noiselab.data import text_sources

    return text_sources.snapshot_bytes(hub, list(PATTERNS), timeout, "model")
