"""Which files a real data set was prepared from, so that other files below `data.root` are noticed.

Kept beside the prepared arrays: size, time and SHA-256 of each file, or, of folders with very many
files, names and sizes alone. Where size and time are as they were, nothing is read.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from noiselab.errors import NoiselabError
from noiselab.files import digest, sha256, write_json

FILE = "sources.json"
MANY = 20_000  # files; of more, contents are not compared


def folders(spec: dict) -> list[str]:
    """Folders below data.root that a real data set is made from."""
    own = [p["folder"] for p in spec.get("parts") or []] or [spec.get("source") or spec["name"]]
    return list(dict.fromkeys([*own, *(p["folder"] for p in spec.get("tokenizer_parts") or [])]))


def hidden(name: str) -> bool:
    """Whether a file or folder is no data: hidden, or what an editor keeps beside a file."""
    return name.startswith((".", "~$")) or name.endswith("~")


def listing(root: Path, folders: Iterable[str]) -> dict[str, list[int]]:
    """File relative to `root` -> size in bytes and time of change in ns, of all in these folders
    but hidden ones. A link to a folder is not followed."""
    found = {}
    for folder in folders:
        for place, subfolders, names in os.walk(root / folder):
            subfolders[:] = sorted(name for name in subfolders if not hidden(name))
            for name in names:
                if not hidden(name):
                    path = Path(place, name)
                    if path.is_file():  # no dangling link, no pipe
                        status = path.stat()
                        key = path.relative_to(root).as_posix()
                        found[key] = [status.st_size, status.st_mtime_ns]
    return found


def keep(spec: dict, source: Path | None, folder: Path) -> None:
    """Keep what the data set in `folder` was prepared from. source: its own folder below data.root,
    as deep as its name says; None: it is embedded."""
    if source is None:
        return
    own = Path(spec.get("source") or spec["name"])
    root = source.absolute().parents[len(own.parts) - 1]
    files = listing(root, folders(spec))
    if len(files) > MANY:
        write_json(folder / FILE, {"many": len(files), "digest": _names(files)})
        return
    try:
        content = {name: [*status, sha256(root / name)] for name, status in files.items()}
    except OSError as error:
        raise NoiselabError(f"cannot read {error.filename} ({error.strerror})") from error
    write_json(folder / FILE, {"files": content})


def differ(root: Path, folders: Iterable[str], kept: dict) -> bool:
    """Whether other files are there than those that were kept. A folder that is not there any more
    is no reason to make data again that are there."""
    files = listing(root, folders)
    if not files:
        return False
    if "many" in kept:
        return _names(files) != kept["digest"]
    before = kept["files"]
    if files.keys() != before.keys():
        return True
    return any(_changed(root / name, files[name], before[name]) for name in files)


def _changed(path: Path, now: list[int], before: list) -> bool:
    """Whether a file has another content; read only where its time is another."""
    if now == before[:2]:
        return False
    try:
        return now[0] != before[0] or sha256(path) != before[2]
    except OSError:  # who prepares it again says which file cannot be read
        return True


def _names(files: dict[str, list[int]]) -> str:
    return digest(sorted((name, size) for name, (size, _) in files.items()))
