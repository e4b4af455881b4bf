"""Backbones that were trained elsewhere: a folder as transformers or timm saves it, or a repository
of the Hugging Face hub, which is downloaded.
"""

import os
import re
from pathlib import Path

from noiselab.data.kinds import LABELLED_KINDS
from noiselab.errors import NoiselabError
from noiselab.families.descriptor import CLEAN
from noiselab.families.pretrained.family import NAME as FAMILY
from noiselab.families.pretrained.files import described
from noiselab.planning.hints import hint
from noiselab.planning.probes import CLEANLY
from noiselab.run import Run

FOLDER = "models"  # below data.root, and below the downloads
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
UNTRAINED = {"steps": 0, "batch_size": 1, "warmup_steps": 0}


def models(config: dict, results: str, name: str, experiment: dict, spec: dict) -> list[Run]:
    """The models of an experiment's `backbone`, as the task `spec` sees them. NoiselabError: a
    folder is missing or no model, or of another kind than the task."""
    found = []
    for model in experiment["backbone"]["models"]:
        key = f"config key experiments.{name}.backbone.models"
        place = _place(config, model, key)
        run_id = f"{FAMILY}/{spec['name']}/{model}"
        if "files" in place:
            _check_kind(model, place, spec, key)
        content = {
            "run_id": run_id,
            "parents": {CLEAN: run_id},
            "family": FAMILY,
            "tier": config["tier"],
            "dataset": spec["name"],
            "stands_in_for": spec.get("stands_in_for"),
            "data": f"{results}/data/{spec['name']}",
            **CLEANLY,
            "protocol": "text",
            "seed": 0,
            "training": UNTRAINED,
            **place,
            "model": {"name": model, **place["model"]},
        }
        found.append(Run.from_content(content))
    return found


def _place(config: dict, model: str, key: str) -> dict:
    """Where a model is: its folder, with its sizes and what its files are; or, before a download,
    the repository."""
    if not NAME.fullmatch(model):
        raise NoiselabError(
            f"{key}: {model!r} is no name of letters, digits, _, - and .; a path is said by "
            "`folder` of an entry of backbones"
        )
    entry, root = config["backbones"].get(model, {}), config["data"]["root"]
    below = os.path.join(root, FOLDER, model) if root else None
    folder = entry.get("folder") or (below if below and os.path.isdir(below) else None)
    if folder is None and "hub" in entry:
        return {"folder": f"data/{FOLDER}/{model}", "hub": entry["hub"], "model": {}}
    if folder is None:
        where = f"no folder {below}" if below else f"data.root, with {FOLDER}/{model}, is not set"
        known = hint(model, config["backbones"])
        raise NoiselabError(
            f"{key}: {where}, and no entry {model} of backbones says a folder or hub ({known})"
        )
    return {"folder": folder, **described(Path(folder))}


def _check_kind(model: str, place: dict, spec: dict, key: str) -> None:
    """Texts are for models of transformers, images for those of timm."""
    texts = spec["kind"] in LABELLED_KINDS
    if texts != (place["layout"] == "transformers"):
        items = "texts" if texts else "images"
        raise NoiselabError(
            f"{key}: {model} is a model in {place['layout']} layout, which {spec['name']} is not "
            f"for: it has {items}"
        )
