"""How many training targets of a run are wrong: noise ratio r and error rate e."""

from dataclasses import dataclass

from noiselab.errors import NoiselabError
from noiselab.noise.registry import CORRUPTIONS


def error_rate(noise_ratio: float) -> float:
    """Effective error rate e = r / (1 + r): probability that a target is corrupted (Alg. 1)."""
    return noise_ratio / (1 + noise_ratio)


@dataclass(frozen=True)
class Rate:
    """A noise ratio with its error rate."""

    noise_ratio: float | None  # wrong per right target; None: infinite or not known
    error_rate: float | None  # share that is wrong; None: not known while planning
    label: str = ""  # in the id of a run; none where the corruption has but one rate

    @classmethod
    def from_ratio(cls, ratio: float) -> "Rate":
        """That of a noise ratio, as an experiment says it."""
        digits = f"{ratio:.2f}" if round(ratio, 2) == ratio else f"{ratio:g}"
        return cls(ratio, error_rate(ratio), f"-r{digits}")

    @classmethod
    def from_error(cls, error: float) -> "Rate":
        """That of an error rate, 0 to 1. Where it is that of a short noise ratio, both are the same
        run."""
        if error == 1:
            return cls(None, 1.0, "-e1")
        ratio = error / (1 - error)
        short = round(ratio, 4)
        if error == 0 or (short and abs(short - ratio) < 1e-12):
            return cls.from_ratio(short)
        return cls(ratio, error, f"-e{error:g}")

    @classmethod
    def from_share(cls, share: float) -> "Rate":
        """That of a share of noise text, α, 0 <= α < 1: so many of the targets are noise."""
        if share == 0:
            return cls.from_ratio(0.0)
        return cls(share / (1 - share), share, f"-a{share:g}")

    @property
    def order(self) -> tuple[bool, float]:
        """What to sort by: the least wrong first, what is not known last."""
        return order(self.error_rate)


def order(error: float | None) -> tuple[bool, float]:
    """The same of an error rate alone."""
    return error is None, error or 0.0


CLEAN_RATE = Rate.from_ratio(0.0)


READERS = {  # key of an experiment -> how its numbers are read
    "error_rates": Rate.from_error,
    "noise_ratios": Rate.from_ratio,
    "noise_shares": Rate.from_share,
}


def rates(experiment: dict, noise: dict, where: str) -> list[Rate]:
    """The rates of an experiment's runs. noise: what its corruption adds to run.json; where: what
    stands before the name of a key in a message. NoiselabError: two are the same to six digits, or
    the budget `fixed_clean` cannot be, as a rate is 1 or not known."""
    kind = CORRUPTIONS[experiment["corruption"]]
    if not kind.rated:
        own = _own(kind.planned_rate(noise))
        found = [CLEAN_RATE, own] if noise.get("clean_labels", True) else [own]
    else:
        key = next(key for key in READERS if key in experiment)
        found = [READERS[key](float(number)) for number in experiment[key]]
        _check_different(found, f"{where}{key}")
    check_budget(experiment["budget"], found, f"{where}budget")
    return found


def _check_different(found: list[Rate], key: str) -> None:
    """Ids of runs, and tables, show six digits."""
    shown = [f"{rate.error_rate:g}" for rate in found]
    if twice := [error for error in shown if shown.count(error) > 1]:
        raise NoiselabError(
            f"{key}: two rates differ in the seventh digit only (error rate {twice[0]}); leave one"
        )


def check_budget(budget: str, found: list[Rate], key: str) -> None:
    """NoiselabError: there are no right targets whose number could be fixed, or it is not known."""
    if budget != "fixed_clean" or all(rate.noise_ratio is not None for rate in found):
        return
    unknown = any(rate.error_rate is None for rate in found)
    why = "how many targets are wrong is not known" if unknown else "no target would be right"
    raise NoiselabError(
        f"{key}: {why}, so the number of right ones cannot be fixed; use fixed_total"
    )


def _own(error: float | None) -> Rate:
    """The one rate that a corruption has of itself; None: not known while planning."""
    known = None if error in (None, 1) else error / (1 - error)
    return Rate(known, error)
