"""Whether the models of an experiment have learned enough to conclude from: gates.

A model that has learned little has little to lose, and every verdict on it is empty. So each
experiment has gates in claims.yaml, which its clean models must pass; an experiment of your own has
those of its family, as far as they can be measured:

    bigram           their NLL is below that of bigram counts by so many nats per token
    shuffled_source  another pair's source costs at least so many nats per token
    chance           the 95 % interval of their score is at least so many points above chance
    majority         their accuracy is at least so many points above that of the most frequent class
                     (where a task asks for a number: their correlation, above 0)
    margin           they can lose at least so many times the rule's upper bound
"""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from noiselab.answers.pairs import usual
from noiselab.answers.rules import bounds
from noiselab.answers.statistics.evidence import Measured, experiment_rows
from noiselab.answers.tables import seeds_estimate
from noiselab.errors import NoiselabError
from noiselab.families import FAMILIES

WEAK = "model too weak"
DEFAULT = "default"  # of all data sets that a gate does not name
COLUMNS = ["experiment", "dataset", "gate", "value", "needed", "passed"]  # of `tried`
SCORES = ("accuracy", "consistency")  # that have a chance level, 100 / classes


class Tried(NamedTuple):
    """A gate at which a clean model was tried."""

    value: float | None  # None: it was not measured
    needed: float | None  # None: the gate asks nothing here
    why: str | None  # the model is too weak; None: it passes


class Judge:
    """Says of the tests of one claim whether their models were competent."""

    def __init__(self, published: dict, measured: Measured, claim: dict):
        self.gates, self.measured, self.claim = gates(published), measured, claim

    def left_out(self) -> dict[str, str]:
        """The paper's data sets that an average has to do without, as their models are too weak,
        and why. None of them where less than half of the data sets would be left."""
        part = self.claim["statistic"]
        rows = experiment_rows(self.measured, part["experiment"], part["of"])
        if len(rows) == 0:
            return {}
        found = {
            paper: "; ".join(self._why(part, list(own["dataset"].unique())))
            for paper, own in rows.groupby("stands_in_for", sort=False)
        }
        weak = {paper: why for paper, why in found.items() if why}
        return weak if 2 * len(weak) <= len(found) else {}

    def judged(self, test: dict) -> dict:
        """A test of claims.json, its verdicts withdrawn where a model is too weak for them."""
        why = [self._why(part, test["datasets"]) for part in _parts(self.claim["statistic"])]
        reasons = "; ".join(dict.fromkeys(reason for found in why for reason in found))
        asked = test["basis"] != "stand_in" or self.claim["transfers"]
        if not reasons or not asked:
            return test
        rulers = [_withdrawn(ruler) for ruler in test["rulers"]]
        return test | {"verdict": WEAK, "reason": reasons, "p": None, "rulers": rulers}

    def _why(self, part: dict, datasets: list[str]) -> Iterable[str]:
        """Why the models of a part of the statistic are too weak."""
        experiment = part["experiment"]
        limits = self.gates.get(experiment)
        if limits is None:
            return
        rows = experiment_rows(self.measured, experiment, part["of"])
        if len(rows) == 0:
            yield f"nothing shows what the models of {experiment} have learned"
        for dataset, own in rows.groupby("dataset", sort=False):
            if dataset in datasets:
                yield from weaknesses(own, limits, self.claim["rule"], part.get("ruler"))


def _withdrawn(ruler: dict) -> dict:
    return ruler | {"p": None} | ({"verdict": WEAK} if ruler["verdict"] else {})


def _parts(statistic: dict) -> list[dict]:
    """What a statistic is computed from: {experiment, of, ruler} each; of a speedup the plain
    trainings, which are the first. Analyses and closed forms name no experiment."""
    ruler = {"ruler": statistic.get("ruler")}
    found = []
    for part in (statistic.get("first"), statistic.get("second"), statistic):
        if part and "of" in part:
            names = [part[key] for key in ("experiment", "minus") if key in part]
            names += part["experiments"][:1] if part.get("kind") == "speedup" else []
            found += [part | ruler | {"experiment": name} for name in names]
    return found


def gates(published: dict) -> dict[str, dict]:
    """Experiment -> kind of gate -> limit, or data set -> limit. NoiselabError: there is no such
    kind."""
    found = published.get("competence", {})
    for experiment, limits in found.items():
        for kind in limits:
            if kind not in KINDS:
                known = ", ".join(KINDS)
                raise NoiselabError(
                    f"claims.yaml, competence.{experiment}: no gate {kind!r} (known: {known})"
                )
    return found


def weaknesses(
    rows: pd.DataFrame, limits: dict, rule: dict | None = None, ruler: str | None = None
) -> list[str]:
    """Why the clean models of one data set are too weak, a text each; none: they pass.

    rows: of collect_metrics, of one experiment and data set; limits: its gates; rule, ruler: of a
    claim, for the gate `margin`, which nothing but a claim has.
    """
    dataset = rows["dataset"].iloc[0]
    gates = _at_gates(rows, limits, rule, ruler).values()
    return [f"{dataset}: {gate.why}" for gate in gates if gate.why]


def _family_weaknesses(rows: pd.DataFrame) -> list[str]:
    """The same by the gates of the rows' family. What was not measured counts as passed: an
    experiment of one's own may have no clean run, or no clean labels to score it by."""
    limits = FAMILIES[rows["family"].iloc[0]].gates
    gates = _at_gates(rows, limits).values()
    dataset = rows["dataset"].iloc[0]
    return [f"{dataset}: {gate.why}" for gate in gates if gate.why and gate.value is not None]


def _at_gates(
    rows: pd.DataFrame, limits: dict, rule: dict | None = None, ruler: str | None = None
) -> dict[str, Tried]:
    """Kind -> gate, of those that the data set of the rows has; as for `weaknesses`."""
    dataset = rows["dataset"].iloc[0]
    clean = rows[(rows["noise_ratio"] == 0) & (rows["source_share"].fillna(1) == 1)]
    clean, found = usual(clean), {}
    for kind, limit in limits.items():
        limit = limit.get(dataset, limit.get(DEFAULT)) if isinstance(limit, dict) else limit
        if limit is not None:
            found[kind] = KINDS[kind](clean, limit, rule, ruler)
    return found


def tried(metrics: dict[str, pd.DataFrame], published: dict) -> pd.DataFrame:
    """A row per experiment, data set and gate that its clean models were tried at. metrics:
    experiment -> rows of collect_metrics."""
    rows = [
        (experiment, dataset, kind, gate.value, gate.needed, gate.why is None)
        for experiment, limits in gates(published).items()
        if experiment in metrics
        for dataset, own in metrics[experiment].groupby("dataset", sort=False)
        for kind, gate in _at_gates(own, limits).items()
        if gate.needed is not None or gate.why
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def marked(table: pd.DataFrame, metrics: dict[str, pd.DataFrame], published: dict) -> pd.DataFrame:
    """A table with the column `competence`: why the models of a row's data set and family are too
    weak. metrics: experiment -> rows of collect_metrics that the table is made from."""
    weak: dict[tuple, str] = {}
    for experiment, rows in metrics.items():
        limits = gates(published).get(experiment)
        for key, own in rows.groupby(["family", "dataset"], sort=False):
            reasons = _family_weaknesses(own) if limits is None else weaknesses(own, limits)
            if reasons:
                weak[key] = "; ".join(reasons)
    keys = zip(table["family"], table["dataset"], strict=True)
    return table.assign(competence=[weak.get(key) for key in keys])


def _mean(rows: pd.DataFrame, metric: str) -> float | None:
    """Over the seeds; None: one has none."""
    values = rows[rows["metric"] == metric]["value"]
    return None if len(values) == 0 or values.isna().any() else float(values.mean())


def _bigram(clean: pd.DataFrame, limit: float, rule, ruler) -> Tried:
    """By the NLL, which must be below what is needed."""
    own, counts, single = (_mean(clean, m) for m in ("nll", "bigram_nll", "unigram_nll"))
    if own is None or counts is None:
        needed = None if counts is None else counts - limit
        return Tried(own, needed, "its NLL and that of bigram counts were not measured")
    single = "" if single is None else f" (of unigram counts: {single:.2f})"
    less = f"{limit:g} " if limit else ""
    why = (
        f"its clean NLL of {own:.2f} is not {less}below that of bigram counts, {counts:.2f}{single}"
    )
    return Tried(own, counts - limit, None if own < counts - limit else why)


def _shuffled_source(clean: pd.DataFrame, limit: float, rule, ruler) -> Tried:
    cost = _mean(clean, "shuffled_source_cost")
    if cost is None:
        return Tried(None, limit, "what another pair's source costs was not measured")
    why = f"another pair's source costs {cost:.2f} nats, not {limit:g}"
    return Tried(cost, limit, None if cost >= limit else why)


def _score(clean: pd.DataFrame):
    """The score that has a chance level, its estimate and that level; None where it is missing."""
    for metric in SCORES:
        own = clean[clean["metric"] == metric]
        if len(own) and own["value"].notna().all() and own["classes"].notna().all():
            return metric, seeds_estimate(own), 100 / own["classes"].iloc[0]
    return None


UNSCORED = Tried(None, None, "its clean score was not measured")


def _chance(clean: pd.DataFrame, limit: float, rule, ruler) -> Tried:
    """By the lower end of the interval of the score."""
    if (score := _score(clean)) is None:
        return UNSCORED
    metric, estimate, chance = score
    low = estimate.value if estimate.ci_low is None else estimate.ci_low
    why = f"its clean {metric}, {estimate.value:.1f} %, is not {limit:g} points above chance"
    return Tried(low, chance + limit, None if low >= chance + limit else why)


def _majority(clean: pd.DataFrame, limit: float, rule, ruler) -> Tried:
    """By the mean accuracy of probes; a class may be far more frequent than chance. Of numbers, by
    the mean correlation."""
    if (correlation := _mean(clean, "correlation")) is not None:
        why = f"its correlation, {correlation:.1f} %, is not {limit:g} points above 0"
        return Tried(correlation, limit, None if correlation >= limit else why)
    own, constant = (_mean(clean, metric) for metric in ("accuracy", "majority_accuracy"))
    if own is None or constant is None:
        return Tried(None, None, "its accuracy, or that of the most frequent class, is not known")
    why = f"its accuracy, {own:.1f} %, is not {limit:g} points above the most frequent class"
    return Tried(own, constant + limit, None if own >= constant + limit else why)


def _margin(clean: pd.DataFrame, limit: float, rule: dict | None, ruler) -> Tried:
    """A rule that lets little be lost says nothing of a model that has little."""
    high = None if rule is None else bounds(rule)[1]
    if high is None or not 0 < high < float("inf") or ruler is None:
        return Tried(None, None, None)
    if (score := _score(clean)) is None:
        return UNSCORED
    metric, estimate, chance = score
    most = estimate.value - chance
    most = 100 * most / estimate.value if ruler == "relative" else most
    why = f"its {metric} can fall by {most:.1f}, less than {limit:g} times the {high:g} of the rule"
    return Tried(most, limit * high, None if most >= limit * high else why)


KINDS = {
    "bigram": _bigram,
    "shuffled_source": _shuffled_source,
    "chance": _chance,
    "majority": _majority,
    "margin": _margin,
}
