"""All kinds of corruption by name: that of a run, and those that an experiment may have."""

from noiselab.errors import NoiselabError
from noiselab.noise import corruptions  # its classes register themselves
from noiselab.noise.base import CORRUPTIONS, Corruption
from noiselab.run import Run


def known() -> dict[str, type[Corruption]]:
    """All kinds by name. NoiselabError: a module of them cannot be imported."""
    if corruptions.BROKEN:
        raise NoiselabError(corruptions.BROKEN[0])
    return CORRUPTIONS


def corruption(run: Run) -> Corruption:
    """The corruption that a run is trained with. NoiselabError: a file of it is missing or not the
    one that the run was planned with."""
    return known()[run.corruption].from_run(run)


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
    chosen = CORRUPTIONS[name]
    _check_rates(experiment, chosen, where)
    _check_options(experiment, chosen, where)
    if experiment["resample"] not in chosen.resamples:
        allowed = ", ".join(chosen.resamples)
        raise NoiselabError(f"{where}resample: {chosen.why_resamples}: {allowed}")


RATES = {  # key of an experiment -> what it says
    "noise_ratios": "wrong per right target",
    "error_rates": "share that is wrong",
    "noise_shares": "share of the training tokens that is noise text",
}


def _check_rates(experiment: dict, chosen: type[Corruption], where: str) -> None:
    """One of the keys that say how much is wrong, and none where the corruption says it."""
    given = [key for key in RATES if key in experiment]
    if given and not chosen.rated:
        raise NoiselabError(f"{where}{given[0]}: {chosen.name} has a rate of its own; leave it out")
    if foreign := [key for key in given if key not in chosen.rate_keys]:
        own = " or ".join(chosen.rate_keys)
        raise NoiselabError(f"{where}{foreign[0]}: {chosen.name} has {own} instead")
    if len(given) > 1:
        raise NoiselabError(f"{where}{given[1]}: not together with {given[0]}")
    if chosen.rated and not given:
        told = " or ".join(f"{key} ({RATES[key]})" for key in chosen.rate_keys)
        raise NoiselabError(f"{where}{chosen.rate_keys[0]}: missing; say {told}")


def _check_options(experiment: dict, chosen: type[Corruption], where: str) -> None:
    """Keys of the corruption that must be there are, and no others'."""
    own = chosen.options | chosen.optional
    for owner in CORRUPTIONS.values():
        for key, schema in (owner.options | owner.optional).items():
            what = schema["description"]
            if key in chosen.options and key not in experiment:
                raise NoiselabError(f"{where}{key}: missing; {chosen.name} needs it: {what}")
            if key not in own and key in experiment:
                raise NoiselabError(
                    f"{where}{key}: {what}, for corruption {_owners(key)} and no other"
                )


def _owners(key: str) -> str:
    """Names of the corruptions that have a key."""
    return " or ".join(n for n, c in CORRUPTIONS.items() if key in c.options | c.optional)
