"""Scored runs without their weights, in archives that go from one computer to another.

An archive has, of each run of a data set, its settings, learning curve, summary, scores and other
tables, and the records from which the workflow knows that they are current. Of some runs on clean
data it has the predictions too: floors of other runs come from them. So tables
can be made where nothing was trained, and a plan goes on with what is new. What needs weights of a
kept run trains it again.
"""

import json
import os
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from noiselab.errors import NoiselabError
from noiselab.families.descriptor import METRICS, PREDICTIONS, RUN, SUMMARY, WEIGHTS
from noiselab.files import digest, read_json, whole_file, write_zip
from noiselab.reading import BROKEN

KEPT = {".json", ".jsonl", ".csv"}  # endings of what is kept of a run
PARTS = ("runs", "records")  # folders of a tier that archives have files of
LARGEST = 2**28  # bytes that an archive may unpack to
DAMAGED = (zlib.error, RuntimeError)  # the latter where it is encrypted
LARGEST_PREDICTIONS = 2**21  # bytes of all predictions that an archive has


def keep(results: Path, folder: Path) -> dict[str, int]:
    """Put the scored runs of a tier into archives, next to those that are in them already: one of
    each family and data set, folder/<family>/<data set>.zip. Returns archive -> its runs.
    NoiselabError: one of the archives is broken, or would be too large to be restored."""
    runs = sorted(path.parent for path in (results / "runs").rglob(METRICS))
    sets = {}
    for run in runs:
        family, dataset, _ = run.relative_to(results / "runs").parts
        sets.setdefault(folder / family / f"{dataset}.zip", []).append(run)
    return {str(archive): _add(archive, results, found) for archive, found in sets.items()}


def _add(archive: Path, results: Path, runs: list[Path]) -> int:
    """Add runs to an archive; returns how many it has then."""
    contents = _contents(archive) if archive.exists() else {}
    for run in runs:
        name = run.relative_to(results / "runs").as_posix()  # what it has no more is dropped
        contents = {place: c for place, c in contents.items() if f"/{name}/" not in f"/{place}/"}
        contents |= {
            file.relative_to(results).as_posix(): file.read_bytes() for file in _files(results, run)
        }
    contents = _with_few_predictions(contents)
    if (size := sum(map(len, contents.values()))) > LARGEST:
        raise NoiselabError(f"{archive}: its runs have {size:,} bytes, more than {LARGEST:,}")
    write_zip(archive, contents)
    return sum(PurePosixPath(place).name == METRICS for place in contents)


def _with_few_predictions(contents: dict[str, bytes]) -> dict[str, bytes]:
    """Without predictions that would make an archive large; those of runs with the usual recipe,
    whose names are the shortest, come first."""
    size, found = 0, dict(contents)
    for place in sorted(contents, key=lambda place: (len(place), place)):
        if PurePosixPath(place).name == PREDICTIONS:
            size += len(contents[place])
            if size > LARGEST_PREDICTIONS:
                del found[place]
    return found


def _files(results: Path, run: Path) -> Iterator[Path]:
    """What an archive keeps of a run."""
    clean = read_json(run / RUN).get("corruption") == "none"
    for file in sorted(run.iterdir()):
        if file.suffix in KEPT or (clean and file.name == PREDICTIONS):
            yield file
    name = run.relative_to(results / "runs")
    yield from (results / "records").glob(f"*/{name}")


class DataMissingError(NoiselabError):
    """The data that runs were trained on are not prepared here."""


def restore(archive: Path, results: Path) -> tuple[list[str], list[str]]:
    """Put the runs of an archive where a tier has neither scores nor a training of them. Their
    times are of now, so that the data, which must be there, are older. Returns the runs that were
    restored, and those that were not: trained on other data than are there, or anew. The scores of
    each run come last: who is stopped on the way restores it again. DataMissingError: there are no
    data of that name; NoiselabError: this is no such archive."""
    contents = _contents(archive)
    runs = sorted(str(PurePosixPath(p).parent) for p in contents if p.endswith(f"/{METRICS}"))
    wanted = [run for run in runs if not (results / run / METRICS).exists()]
    other = [
        run
        for run in wanted
        if (results / run / WEIGHTS).exists() or not _same_data(contents, run, archive, results)
    ]
    restored = [run for run in wanted if run not in other]
    names = {run.removeprefix("runs/") for run in restored}
    now = time.time()
    for place in sorted(contents, key=lambda place: place.endswith(f"/{METRICS}")):
        if _run_name(place) in names:
            with whole_file(results / place) as temporary:
                temporary.write_bytes(contents[place])
                os.utime(temporary, (now, now))  # none of them looks newer than another
    return restored, other


def _run_name(place: str) -> str:
    """Family, data set and identifier of the run that a file is of: runs/<name>/<file>, or
    records/<kind of job>/<name>."""
    parts = place.split("/")
    return "/".join(parts[2:] if parts[0] == "records" else parts[1:-1])


def _same_data(contents: dict[str, bytes], run: str, archive: Path, results: Path) -> bool:
    """Whether a run was trained on the data that are there."""
    try:
        data = json.loads(contents[f"{run}/{RUN}"])["data"]
        trained_on = json.loads(contents[f"{run}/{SUMMARY}"])["digests"]["data"]
        described = results / "data" / PurePosixPath(data).name / "dataset.json"
    except (KeyError, ValueError, TypeError) as error:
        raise NoiselabError(f"{archive}: {run} is not whole") from error
    if not described.is_file():
        raise DataMissingError(
            f"{archive}: there is no {described}; first prepare the data, with the options of your"
            " plan: snakemake … -- datasets"
        )
    return digest(read_json(described)) == trained_on


def _contents(archive: Path) -> dict[str, bytes]:
    """Place -> content. NoiselabError: it is broken, too large, or has files elsewhere than an
    archive of runs."""
    try:
        with zipfile.ZipFile(archive) as file:
            entries = file.infolist()
            if (size := sum(entry.file_size for entry in entries)) > LARGEST:
                raise ValueError(f"it unpacks to {size:,} bytes, more than {LARGEST:,}")
            if strange := [entry.filename for entry in entries if not _has_place(entry.filename)]:
                raise ValueError(f"{strange[0]} is no file of a run")
            return {entry.filename: file.read(entry) for entry in entries}
    except (*BROKEN, *DAMAGED) as error:
        raise NoiselabError(f"{archive}: no archive of runs ({error})") from error


def _has_place(name: str) -> bool:
    """Whether a file of an archive is of a run, and stays in the tier's folder."""
    parts = name.replace("\\", "/").split("/")
    if any(part in ("", ".", "..") for part in parts) or parts[0] not in PARTS:
        return False
    if parts[0] == "records":
        return len(parts) == 5
    return len(parts) == 5 and (Path(name).suffix in KEPT or parts[-1] == PREDICTIONS)
