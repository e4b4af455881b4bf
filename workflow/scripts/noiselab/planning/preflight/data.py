"""Checks of data sets: there, whole, or to be downloaded."""

import importlib.util
import os
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

from noiselab.data import cifar, image_files, text
from noiselab.data.kinds import FOUND_KINDS, KINDS
from noiselab.errors import NoiselabError
from noiselab.families.pretrained.family import mark
from noiselab.families.pretrained.files import available
from noiselab.files import sha256
from noiselab.planning.datasets import is_real, source_folder
from noiselab.planning.graph import Graph
from noiselab.planning.preflight import network
from noiselab.planning.preflight.network import Question
from noiselab.planning.preflight.rows import MISSING, OK, SETUP, WARNING, Row

LOCAL = "docs/DATA.md says what belongs there"
DENIED = "accept its terms on the hub and set HF_TOKEN, or put it into data.root/models/"
PREPARING = "prepare/"  # how the names of jobs begin that prepare data sets


def loader(spec: dict) -> ModuleType:
    """What checks the files of a real data set, and knows what it would download."""
    name = "images" if spec["kind"] in FOUND_KINDS else spec["kind"]
    return import_module(f"noiselab.data.{name}")


def data_rows(graph: Graph, names: Iterable[str]) -> tuple[list[Row], float]:
    """A row per real data set that these jobs prepare, one for all embedded ones, one for the
    weights of Inception, and bytes to download."""
    names = list(names)
    folders = [name.removeprefix(PREPARING) for name in names if name.startswith(PREPARING)]
    sets = {folder: graph.plan.datasets[folder] for folder in folders}
    embedded = [spec for spec in sets.values() if not is_real(spec)]
    rows = [embedded_row(embedded)] if embedded else []
    found = [_source(graph, folder, spec) for folder, spec in sets.items() if is_real(spec)]
    weights = (file for name in names for file in graph.jobs[name].inputs.get("inception", ()))
    found += [_inception(Path(file), graph.places.root) for file in dict.fromkeys(weights)]
    found += _models(graph, names)
    rows += [row for row in found if isinstance(row, Row)]
    asked = {(q.check, q.where): q for q in found if isinstance(q, Question)}  # of subsets: once
    answers = network.ask_all(list(asked.values()))
    return rows + [row for row, _ in answers], sum(size for _, size in answers)


def _source(graph: Graph, folder: str, spec: dict) -> Row | Question:
    """What is known of a real data set's files, or what is to be asked."""
    places = graph.places
    prepared = Path(f"{places.results}/data/{folder}/dataset.json").is_file()
    if places.root is not None:
        return local_row(spec, Path(places.root), prepared)
    downloads = Path(places.downloads)
    return downloaded_row(spec, downloads, prepared) or question(spec, downloads)


def embedded_row(specs: list[dict]) -> Row:
    """Whether the packages are installed that embedded data come out of."""
    packages: dict[str, None] = {}
    for spec in specs:
        packages |= dict.fromkeys(spec.get("packages") or KINDS[spec["kind"]].packages)
    lacking = [name for name in packages if importlib.util.find_spec(name) is None]
    if lacking:
        fix = f"{SETUP}; or leave them out of `packages` in the configuration"
        return Row("data: embedded", MISSING, f"not installed: {', '.join(lacking)}", fix)
    return Row("data: embedded", OK, f"{len(specs)} sets from {', '.join(packages)}")


def local_row(spec: dict, root: Path, prepared: bool) -> Row:
    """Whether a folder has a data set, by the rules of its loader; and the tokenizer it needs.
    prepared: whether its arrays are there, which need it no more."""
    name = f"data: {spec['name']}"
    try:
        source = loader(spec).check(spec, root / source_folder(spec))
        if spec.get("tokenizer") == "gpt2":
            text.gpt2_tokenizer(root / "gpt2", spec["vocabulary"])
    except NoiselabError as error:
        if prepared:
            return Row(name, WARNING, f"{error}; yet it is prepared", LOCAL)
        return Row(name, MISSING, str(error), LOCAL)
    if source.doubt:
        return Row(name, WARNING, source.doubt, LOCAL)
    return Row(name, OK, source.found)


def downloaded_row(spec: dict, downloads: Path, prepared: bool) -> Row | None:
    """Of a data set that needs no download any more."""
    for done, there in (
        ("prepared", prepared),
        ("downloaded", (downloads / source_folder(spec) / ".complete").is_file()),
    ):
        if there:
            return Row(f"data: {spec['name']}", OK, done)
    return None


def inception_row(weights: Path) -> Row:
    """Whether Inception's weights are there and whole: their name has the start of their hash."""
    name = "data: inception"
    if not weights.is_file():
        fix = f"{LOCAL}; or diffusion: {{evaluation: {{features: judge}}}}"
        return Row(name, MISSING, f"no {weights}", fix)
    if not sha256(weights).startswith(weights.stem.rpartition("-")[2]):
        return Row(name, MISSING, f"{weights} is broken (another hash)", "fetch it once more")
    return Row(name, OK, str(weights))


def _inception(weights: Path, root: str | None) -> Row | Question:
    """What is known of Inception's weights, or what is to be asked."""
    if root is not None or weights.is_file():
        return inception_row(weights)
    from pytorch_fid.inception import FID_WEIGHTS_URL

    where = network.host(FID_WEIGHTS_URL)
    return Question("data: inception", where, partial(network.length, FID_WEIGHTS_URL))


def _models(graph: Graph, names: Iterable[str]) -> list[Question]:
    """What is to be asked of models that features are extracted by and that are not there yet."""
    jobs = [graph.jobs[name] for name in names if "downloaded" in graph.jobs[name].inputs]
    runs = {job.run: graph.plan.runs[job.run] for job in jobs if job.run}
    waiting = {run.hub: run for run in runs.values() if not os.path.exists(mark(run))}
    return [
        Question(f"model: {run.model['name']}", hub, partial(available, hub), DENIED)
        for hub, run in waiting.items()
    ]


def question(spec: dict, downloads: Path) -> Question:
    """What to ask of a data set that has to be downloaded."""
    name = f"data: {source_folder(spec)}"
    if spec["kind"] == "cifar":
        url = cifar.url(spec["name"])
        # The archive, and what is unpacked from it.
        return Question(name, network.host(url), lambda seconds: 2 * network.length(url, seconds))
    available = loader(spec).available
    refusal = image_files.access(spec, downloads / source_folder(spec))
    return Question(name, spec["hub"], lambda seconds: available(spec, seconds), refusal)
