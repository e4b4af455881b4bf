"""Image data sets whose classes, channels and sizes are found out while planning.

A source is looked at once. What was found is kept below the tier's results, with the times of the
files and folders that say whether it still holds; then no image is opened, nor Pillow imported.
"""

import os
import sys
from pathlib import Path

from noiselab.errors import NoiselabError
from noiselab.files import digest, read_json, sha256, write_json
from noiselab.planning.datasets import resolve_dataset, source_folder

DOWNLOADS = "data"
KEYS = ("classes", "channels", "size", "train_size", "test_size")
# What else of a specification the answer depends on.
CHOICES = ("contents", "image_column", "label_column", "train_per_class", "test_per_class")
LISTS = ("class_list", "labels")  # files of one's own
MOST_BYTES = 2_000_000_000  # of arrays, where `store: auto` chooses them
_DEFAULTS = {"stands_in_for": None, "flip": False, "store": "auto", "resize": None, "overrides": {}}
_told: set[str] = set()  # what this process has said


def resolved(config: dict, results: str, name: str, key: str) -> dict:
    """The specification of a data set, complete. results: folder of the tier. NoiselabError: there
    is none, or what it leaves open cannot be found out."""
    spec = resolve_dataset(config["datasets"], name, key)
    if spec["kind"] != "images":
        return spec
    root = config["data"]["root"]
    spec = _DEFAULTS | {k: v for k, v in spec.items() if v is not None}
    source = Path(root or DOWNLOADS, source_folder(spec))
    lists = {key: _content(source, spec[key]) for key in LISTS if key in spec}
    spec |= {"contents": lists} if lists else {}  # other ones make other data
    if any(spec.get(key) is None for key in KEYS):
        spec |= _found(spec, source, Path(results, "found"), root)
    spec.setdefault("crop", round(spec["size"] / 8))
    if _stays_encoded(spec):
        return spec | {"kind": "encoded_images"}
    if spec["resize"]:
        raise NoiselabError(
            f"config key datasets.{name}.resize: changes nothing, for these images become arrays "
            "of `size`; leave it out, or say store: files"
        )
    return spec


def _stays_encoded(spec: dict) -> bool:
    images = spec["train_size"] + spec["test_size"]
    large = images * spec["channels"] * spec["size"] ** 2 > MOST_BYTES
    return spec["store"] == "files" or (spec["store"] == "auto" and large)


def _found(spec: dict, source: Path, kept: Path, root: str | None) -> dict:
    """What the source is, as it was found now or before."""
    if not source.is_dir() or not (root or (source / ".complete").is_file()):
        raise NoiselabError(_absent(spec, source, root))
    wanted = {key: spec.get(key) for key in (*KEYS, *CHOICES)}
    name = digest([str(source.absolute()), spec["name"], wanted])[:12]
    file = kept / f"{spec['name']}-{name}.json"
    before = _read(file)
    if before and all(_status(path) == status for path, status in before["watched"].items()):
        return before["found"]
    return _looked_up(spec, source, file)


def _absent(spec: dict, source: Path, root: str | None) -> str:
    lacking = ", ".join(key for key in KEYS if spec.get(key) is None)
    key = f"config key datasets.{spec['name']}"
    if root is None and not spec.get("hub"):
        return f"config key data.root: must be set to the folder that has {source.name}/ ({key})"
    if root is None:
        return f"{key}: not downloaded yet, so nothing is found out; it needs {lacking}"
    return f"{key}: no folder {source} to find out {lacking} from"


def _looked_up(spec: dict, source: Path, file: Path) -> dict:
    """What the source is, found out, kept and told."""
    from noiselab.data import images  # takes a second

    try:
        found, watched = images.found(spec, source)
    except NoiselabError as error:
        raise NoiselabError(_named(spec, str(error))) from error
    mixed = found.pop("mixed", False)
    _keep(file, {"found": found, "watched": {path: _status(path) for path in watched}})
    _tell(spec, source, found, mixed)
    return found


def _named(spec: dict, message: str) -> str:
    """A message that says of which data set it is."""
    return message if spec["name"] in message else f"data set {spec['name']}: {message}"


def _status(path: str) -> list[int] | None:
    """Size and time of change of a file; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _read(file: Path) -> dict | None:
    try:
        content = read_json(file)
        return content if content.keys() == {"found", "watched"} else None
    except (NoiselabError, AttributeError):
        return None


def _keep(file: Path, content: dict) -> None:
    """For the next plan; where nothing can be written, it looks once more."""
    try:
        write_json(file, content)
    except NoiselabError:
        return


def _content(source: Path, path: str) -> str:
    """SHA-256 of a file in the folder of a source, or elsewhere; "" where it cannot be read, which
    is told by who reads it."""
    try:
        file = next(f for f in (source / path, Path(path)) if f.is_file())
        return sha256(file)
    except (OSError, StopIteration):
        return ""


def _tell(spec: dict, source: Path, found: dict, mixed: bool) -> None:
    """What was found, once, on stderr."""
    pixels = found.get("pixels")
    cut = pixels and pixels[0] != pixels[1]
    colour = (
        "grey" if found["channels"] == 1 else "colour, some of them grey" if mixed else "colour"
    )
    line = (
        f"noiselab: data set {spec['name']}: {found['classes']} classes, {found['train_size']} and "
        f"{found['test_size']} images in {colour}, "
        f"{found['size']} x {found['size']} pixels"
        + (f" cut out of {pixels[0]} x {pixels[1]}" if cut else "")
        + f" ({source})"
    )
    if line not in _told:
        _told.add(line)
        print(line, file=sys.stderr)
