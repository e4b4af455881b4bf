"""All of a result that can be published, in one archive whose bytes depend on its files alone.

It is an RO-Crate (noiselab.answers.crate) whose root is the folder of the tier, with what a reader
or another program may want: answers, and of each run its settings, learning curve and scores.
Weights, predictions and data are not in it; the metadata have their digests.
"""

import hashlib
import json
import os
from pathlib import Path, PurePath

import jinja2

from noiselab.answers.crate import METADATA, README, Crate
from noiselab.files import ROOT, write_zip
from noiselab.planning.project import Project

SUMS = "sha256sums.txt"
LEFT_OUT = {".safetensors", ".npz", ".npy", ".pt"}  # of a run: weights, predictions, arrays
DESCRIPTION = "dataset.json"  # all that is kept of data
SNAKEMAKES = ".snakemake_timestamp"  # in each folder that is an output
TEMPLATE = ROOT / "workflow" / "report" / "bundle.md.j2"  # of README.md


def write(project: Project, path: Path) -> None:
    """Write the archive of a finished plan. path: of the zip file. NoiselabError: a file is not
    there."""
    root = project.graph.places.results
    crate = Crate(project, root, lambda file: is_kept(file, root))
    readme = _readme(project, crate).encode()
    metadata = json.dumps(crate.content(readme), indent=2, sort_keys=True).encode()
    copied = Path(project.graph.places.answers, "code")
    files = {*map(Path, crate.files), *(f for f in copied.rglob("*") if f.is_file())}
    files.discard(copied / SNAKEMAKES)
    entries = {Path(os.path.relpath(file, root)).as_posix(): file for file in files}
    contents = {place: file.read_bytes() for place, file in entries.items()}
    contents |= {README: readme, METADATA: metadata}
    contents[SUMS] = _sums(contents).encode()
    write_zip(path, contents)


def is_kept(file: str, root: str) -> bool:
    """Whether a file of a tier is in its archive. root: folder of the tier."""
    place = PurePath(os.path.relpath(file, root))
    if place.parts[0] == "data":
        return place.name == DESCRIPTION
    return place.parts[0] != ".." and place.suffix not in LEFT_OUT


def _sums(contents: dict[str, bytes]) -> str:
    """Digests as `sha256sum` writes and checks them."""
    digests = {place: hashlib.sha256(content).hexdigest() for place, content in contents.items()}
    return "".join(f"{digest}  {place}\n" for place, digest in sorted(digests.items()))


def _readme(project: Project, crate: Crate) -> str:
    """How to read, check, repeat and cite it."""
    places = project.graph.places
    below = Path(os.path.relpath(places.answers, places.results)).as_posix()
    template = jinja2.Template(
        TEMPLATE.read_text(encoding="utf-8"), trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    return template.render(
        tier=project.graph.config["tier"],
        trainings=len(crate.trainings),
        revisions=sorted({facts["revision"] for facts in crate.trainings}),
        revision=crate.revision,
        answers="" if below == "." else f"{below}/",
        sums=SUMS,
        citations=crate.citations,
    )
