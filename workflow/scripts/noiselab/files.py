"""Files that are either there and whole, or not there."""

import contextlib
import errno
import glob
import hashlib
import json
import os
import stat
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from noiselab.errors import NoiselabError

ROOT = Path(__file__).resolve().parents[3]  # of the repository
KINDS = {dict: "mapping", list: "list"}  # of JSON
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a zip file can tell
MODE = 0o100644 << 16  # in a zip file: a file that all may read


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` if, and only if, the block succeeds."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        try:
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise NoiselabError(f"cannot write {path}: {error.strerror or error}") from error


QUIET = 60  # seconds after which a temporary file of a process that is not here is left


def sweep(path: Path) -> None:
    """Remove temporary files of `path` that killed attempts left: of processes that are not alive
    here, and not touched for a while, as one on another computer may be writing."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        pid = left.name.split(".")[-2]
        with contextlib.suppress(OSError):
            if (
                pid.isdecimal()
                and not _alive(int(pid))
                and time.time() - left.stat().st_mtime > QUIET
            ):
                left.unlink()


def _alive(pid: int) -> bool:
    """Whether there is a process of this number on this computer."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content, allow_nan: bool = True) -> None:
    """Write `content` as indented JSON. allow_nan: with numbers that JSON does not have, as Python
    writes them; ValueError where there are any and they are not allowed."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=allow_nan)
    write_text(path, text + "\n")


def save_arrays(path: str | Path, arrays: dict) -> None:
    """Write arrays as npz."""
    import numpy as np  # most users of this module need none

    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def write_zip(path: str | Path, contents: dict[str, bytes]) -> None:
    """Write an archive of files, place -> content, whose bytes depend on these alone."""
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for place, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(place, EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, MODE
            entry.create_system = 3  # Unix, wherever it is made
            archive.writestr(entry, content)


def read_json(path: str | Path, kind: type = dict):
    """Read a JSON file, a mapping or what `kind` says; NoiselabError where it is missing or
    broken."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise NoiselabError(f"cannot read {path}: {error.strerror}") from error
    except RecursionError as error:
        raise NoiselabError(f"{path}: not valid JSON (nested too deep)") from error
    except ValueError as error:
        raise NoiselabError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(content, kind):
        raise NoiselabError(f"{path}: holds no {KINDS[kind]}; remove it, and it is made again")
    return content


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's content. OSError: it cannot be read, or is a pipe or device that would be
    waited for."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(content) -> str:
    """SHA-256 of a JSON-able value, independent of key order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
