"""Scores of generated text against references, by the field's own implementations."""

import numpy as np

from noiselab.measures.statistics import Interval, t_interval


def score(name: str, generated: list[str], references: list[str]) -> dict:
    """`bleu` (sacreBLEU, 0 to 100) or `rouge_l` (F-measure with stemming, 0 to 100).

    Returns value, ci_low, ci_high, interval as metrics.json has them.
    """
    value, interval = {"bleu": _bleu, "rouge_l": _rouge_l}[name](generated, references)
    return {"value": value, **interval._asdict()}


def _bleu(generated: list[str], references: list[str]) -> tuple[float, Interval]:
    """Corpus BLEU; interval by bootstrap over sentences, around the value itself."""
    from sacrebleu.metrics import BLEU

    bleu = BLEU()
    value = bleu.corpus_score(generated, [references]).score
    draws = bleu.corpus_score(generated, [references], n_bootstrap=1000)
    low, high = max(0.0, value - draws._ci), value + draws._ci
    return value, Interval(low, high, "bootstrap_items")


def _rouge_l(generated: list[str], references: list[str]) -> tuple[float, Interval]:
    """Mean F-measure of the longest common subsequence."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    pairs = zip(references, generated, strict=True)
    values = np.array([100 * scorer.score(*pair)["rougeL"].fmeasure for pair in pairs])
    spread = t_interval(values)
    return float(values.mean()), spread._replace(interval="t_items")
