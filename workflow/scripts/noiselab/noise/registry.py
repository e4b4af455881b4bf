"""All kinds of corruption by name: that of a run, and those that an experiment may have."""

from noiselab.errors import NoiselabError
from noiselab.noise import corruptions  # noqa: F401  its classes register themselves
from noiselab.noise.base import CORRUPTIONS, Corruption
from noiselab.run import Run


def corruption(run: Run) -> Corruption:
    """The corruption that a run is trained with. NoiselabError: a file of it is missing or not the
    one that the run was planned with."""
    return CORRUPTIONS[run.corruption].from_run(run)


def names(family: str | None = None) -> list[str]:
    """Names that an experiment may give: all, or those for a family of models."""
    return [n for n, c in CORRUPTIONS.items() if c.families and family in (None, *c.families)]


def check(experiment: dict, where: str, more: tuple[str, ...] = ()) -> None:
    """NoiselabError: the experiment's corruption is not for its family, or its keys do not go with
    it. where: what stands before the name of a key in the message; more: corruptions that the
    family names itself."""
    name, family = experiment["corruption"], experiment["family"]
    if name not in (known := list(dict.fromkeys([*names(family), *more]))):
        raise NoiselabError(
            f"{where}corruption: {name} is not for a {family} (known: {', '.join(known)})"
        )
    for owner in CORRUPTIONS.values():
        for key, schema in owner.options.items():
            if (key in experiment) != (owner.name == name):
                raise NoiselabError(
                    f"{where}{key}: {schema['description']}, for corruption {owner.name} and no "
                    "other"
                )
    chosen = CORRUPTIONS[name]
    if experiment["resample"] not in chosen.resamples:
        allowed = ", ".join(chosen.resamples)
        raise NoiselabError(f"{where}resample: {chosen.why_resamples}: {allowed}")
