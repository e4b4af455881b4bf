"""What a run has measured, to be compared with another one to the last bit."""

import json
from pathlib import Path

# Facts of a machine and its load, in metrics.json, training.json and history.jsonl.
NOT_RESULTS = {"seconds", "examples_per_second", "processes", "device", "revision"}
NOT_RESULTS |= {"evaluation_revision", "training_seconds"}


def results(folder: Path) -> dict[str, object]:
    """All that was measured below a results folder, without facts of machine and load: file ->
    content of metrics, histories and tables, and the bytes of weights and arrays."""
    found = {}
    for path in sorted(folder.glob("runs/**/*")):
        name = str(path.relative_to(folder))
        if path.name in ("metrics.json", "training.json"):
            found[name] = measured(json.loads(path.read_text()))
        elif path.suffix == ".jsonl":
            found[name] = [measured(json.loads(row)) for row in path.read_text().splitlines()]
        elif path.suffix == ".npz":
            found[name] = arrays(path)
        elif path.suffix == ".safetensors":
            found[name] = tensors(path)
        elif path.suffix == ".npy":
            found[name] = path.read_bytes()
    return found


def measured(content):
    """JSON without facts of machine and load."""
    if isinstance(content, dict):
        return {k: measured(v) for k, v in content.items() if k not in NOT_RESULTS}
    return [measured(v) for v in content] if isinstance(content, list) else content


def arrays(path: Path) -> dict[str, bytes]:
    """Contents of an npz file, which also has the time at which it was written."""
    import numpy as np

    with np.load(path) as file:
        return {name: file[name].tobytes() for name in file.files}


def tensors(path: Path) -> dict[str, bytes]:
    """Contents of a safetensors file, whose header has no certain order."""
    from safetensors.numpy import load_file

    return {name: array.tobytes() for name, array in load_file(path).items()}


def differences(one: dict, other: dict) -> list[str]:
    """Names of results that are not the same, or not there."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
