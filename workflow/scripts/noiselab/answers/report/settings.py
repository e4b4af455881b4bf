"""The settings behind a table or figure, in a few lines: what its runs share, and what differs."""

from collections.abc import Callable, Iterable

from noiselab.answers.layouts import NAMES


def _pairs(content: dict) -> str:
    """A part of a run's settings on one line: the name first, nothing that is not set."""
    rest = [f"{k.replace('_', ' ')} {_text(v)}" for k, v in content.items() if k != "name"]
    return ", ".join([str(content["name"])] * ("name" in content) + rest)


def _text(value) -> str:
    if isinstance(value, list):
        return "/".join(map(_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _if_noisy(key: str) -> Callable[[dict], str | None]:
    """A setting that a clean run does not have."""
    return lambda run: None if run["corruption"] == "none" else run[key].replace("_", " ")


def _data(run: dict) -> str:
    name, of = run["dataset"], run.get("stands_in_for")
    return name if of in (None, name) else f"{name} (in place of {NAMES.get(of, of)})"


def _schedule(run: dict) -> str:
    training = run["training"]
    text = f"{training['schedule']} to {training['final_learning_rate']:g}"
    warmup = training["warmup_steps"]
    return f"{text}, {warmup:,} warm-up steps" if warmup else text


DRAWN = {"fresh": "drawn anew at each visit", "fixed": "drawn once"}
# Label -> a run's value, None where it has none.
SETTINGS: dict[str, Callable[[dict], object]] = {
    "family": lambda run: run["family"].replace("_", " "),
    "data": _data,
    "model": lambda run: _pairs(run["model"]),
    "corruption": _if_noisy("corruption"),
    "wrong targets": lambda run: DRAWN.get(run["resample"]),
    "budget": _if_noisy("budget"),
    "noise ratio r": lambda run: run["noise_ratio"],
    "error rate e": lambda run: run["error_rate"] if run["noise_ratio"] is None else None,
    "seed": lambda run: run["seed"],
    "protocol": lambda run: run["protocol"],
    "share of the source": lambda run: run.get("source_share"),
    "batch": lambda run: run["training"]["batch_size"],
    "steps": lambda run: run["training"]["steps"],
    "epochs": lambda run: run["epochs"],
    "optimiser": lambda run: _pairs(run["training"]["optimizer"]),
    "schedule": _schedule,
    "clipped at": lambda run: run["training"]["clip_norm"],
    "average of weights": lambda run: run["training"]["ema_decay"],
    "precision": lambda run: run["training"]["precision"],
}


def by_family(runs: list[dict]) -> list[list[dict]]:
    """The runs of each family: what one trains with says nothing about another."""
    families: dict[str, list[dict]] = {}
    for run in runs:
        families.setdefault(run["run"]["family"], []).append(run)
    return list(families.values())


def settings(runs: list[dict], datasets: dict[str, dict]) -> list[tuple[str, str]]:
    """(label, text) of the settings behind a table or figure: common values once, others per data
    set where the data set decides, or one after the other."""
    told = [run["run"] | {"epochs": _epochs(run["run"], datasets)} for run in runs]
    rows = []
    for label, value in SETTINGS.items():
        values = [(run["dataset"], value(run)) for run in told]
        values = [(dataset, v) for dataset, v in values if v is not None]
        if values:
            rows.append((label, _spread(values)))
    return rows


def _epochs(run: dict, datasets: dict[str, dict]) -> float | None:
    """Visits of each image; None for text, whose batches are drawn from one long stream."""
    size = datasets.get(run["dataset"], {}).get("train_size")
    return (
        round(run["training"]["steps"] * run["training"]["batch_size"] / size, 1) if size else None
    )


def _spread(values: list[tuple[str, object]]) -> str:
    """Different values of one setting."""
    by_dataset: dict[str, list] = {}
    for dataset, value in values:
        by_dataset.setdefault(dataset, []).append(value)
    texts = {dataset: _listed(found) for dataset, found in by_dataset.items()}
    named_already = all(text.startswith(dataset) for dataset, text in texts.items())
    if len(set(texts.values())) == 1 or named_already:
        return "; ".join(dict.fromkeys(texts.values()))
    return "; ".join(f"{dataset}: {text}" for dataset, text in texts.items())


def _listed(values: Iterable) -> str:
    unique = list(dict.fromkeys(values))
    if all(isinstance(value, (int, float)) for value in unique):
        unique = sorted(unique)
    return ", ".join(map(_text, unique))
