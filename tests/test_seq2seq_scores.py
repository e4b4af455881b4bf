"""Scores of sequence-to-sequence models: floors by enumeration and simulation, rises, intervals."""

import itertools

import numpy as np
import pandas as pd
import pytest

from noiselab.answers import tables
from noiselab.measures import metrics, text_scores
from noiselab.measures import statistics as stats
from noiselab.noise.corruptions.clean import Clean
from noiselab.noise.corruptions.teacher import Teacher
from noiselab.planning import config

RATES = [1 / 11, 0.3 / 1.3, 1 / 3, 0.5]


def bigram_nll(sequence, table):
    return -sum(np.log(table[a, b]) for a, b in itertools.pairwise([0, *sequence]))


@pytest.mark.parametrize("error_rate", RATES)
def test_sequence_floor_by_enumeration(error_rate):
    """All 3^4 sequences of two Markov chains: the mixture is a distribution, and its NLL on clean
    sequences is the floor."""
    rng = np.random.default_rng(0)
    clean, teacher = rng.dirichlet(np.ones(3), (2, 3))
    sequences = list(itertools.product(range(3), repeat=4))
    p, t = (np.array([bigram_nll(s, m) for s in sequences]) for m in (clean, teacher))
    floor = Teacher(error_rate).observed_nll(p, t)
    assert np.exp(-floor).sum() == pytest.approx(1)
    direct = -np.log((1 - error_rate) * np.exp(-p) + error_rate * np.exp(-t))
    assert floor == pytest.approx(direct)
    # No other distribution has a lower NLL on the mixture's own sequences.
    q = np.exp(-direct)
    for other in rng.dirichlet(np.ones(len(q)), 20):
        assert (q * direct).sum() < -(q * np.log(other)).sum()


@pytest.mark.parametrize("error_rate", RATES)
def test_sequence_floor_is_bounded_by_minus_log_of_the_clean_share(error_rate):
    clean = np.array([1.0, 30.0, 500.0, 900.0])
    teacher = np.array([2.0, 90.0, 499.0, 2000.0])
    floor = Teacher(error_rate).observed_nll(clean, teacher)
    assert (floor <= clean - np.log(1 - error_rate) + 1e-12).all()
    assert floor[-1] == pytest.approx(clean[-1] - np.log(1 - error_rate))
    assert np.isfinite(floor).all()  # sequences of such NLLs have no probability in float64


def test_without_noise_the_floor_is_the_clean_model():
    for noise in (Teacher(0.0), Clean()):
        assert noise.observed_nll(np.array([3.0]), np.array([1.0])) == 3


NEVER = np.zeros(500, dtype=bool)  # the teacher never writes the true target


def test_a_target_that_the_teacher_writes_itself_costs_less_than_nothing():
    """With probability e it is certain: q = (1 - e) p + e."""
    clean = kept([10, 10], [5, 5])
    right = np.array([True, False])
    score = metrics.seq2seq_metrics(clean, clean, right, Teacher(0.5))["sequence_nll"]
    expected = np.mean([-np.log(0.5 * np.exp(-10) + 0.5), 10 + np.log(2)])
    assert score["floor"] == pytest.approx(expected)


def kept(nll, tokens):
    return {"nll": np.asarray(nll, float), "tokens": np.asarray(tokens)}


def test_scores_by_hand():
    clean, own = kept([10, 20], [5, 15]), kept([13, 23], [5, 15])
    scores = metrics.seq2seq_metrics(own, clean, NEVER[:2], Teacher(0.5))
    values = {name: score["value"] for name, score in scores.items()}
    assert values == pytest.approx(
        {
            "nll": 36 / 20,
            "nll_rise": 6 / 20,
            "nll_relative_rise": 20,
            "sequence_nll": 18,
            "sequence_nll_rise": 3,
        }
    )
    ln2 = np.log(2)
    assert scores["sequence_nll_rise"]["floor"] == pytest.approx(ln2)
    assert scores["nll_rise"]["floor"] == pytest.approx(2 * ln2 / 20)
    assert scores["nll_relative_rise"]["floor"] == pytest.approx(100 * 2 * ln2 / 30)
    for name in ("nll", "sequence_nll"):
        rise = scores[f"{name}_rise"]
        assert scores[name]["floor"] - rise["floor"] == pytest.approx(
            scores[name]["value"] - rise["value"]
        )


def test_a_clean_run_is_its_own_floor_and_has_no_rise():
    clean = kept([10, 20, 5], [5, 15, 3])
    for score in metrics.seq2seq_metrics(clean, clean, NEVER[:3], Clean()).values():
        assert score["value"] == score["floor"]
        assert score["value"] == 0 or score["unit"] in ("nats/token", "nats/sequence")


def test_a_model_that_diverged_has_empty_values_and_the_reason():
    scores = metrics.seq2seq_metrics(
        kept([np.nan, 1], [1, 1]), kept([1, 1], [1, 1]), NEVER[:2], Clean()
    )
    assert scores["nll"]["value"] is None
    assert scores["nll"]["reason"] == "training diverged"


def test_ratio_interval_covers():
    rng, truth, hits = np.random.default_rng(0), 2.0, 0
    for _ in range(1000):
        tokens = rng.integers(5, 40, 200)
        nll = truth * tokens + rng.normal(0, 3, 200) * np.sqrt(tokens)
        low, high, _ = stats.ratio_interval(nll, tokens)
        hits += low <= truth <= high
    assert 0.93 < hits / 1000 < 0.97


def test_paired_rises_have_narrow_intervals():
    rng = np.random.default_rng(0)
    base, tokens = rng.gamma(5, 10, 500), rng.integers(5, 40, 500)
    scores = metrics.seq2seq_metrics(
        kept(base + 1 + rng.normal(0, 0.1, 500), tokens), kept(base, tokens), NEVER, Clean()
    )
    width = {n: s["ci_high"] - s["ci_low"] for n, s in scores.items()}
    assert width["sequence_nll_rise"] < 0.02 * width["sequence_nll"]
    assert scores["sequence_nll_rise"]["ci_low"] < 1 < scores["sequence_nll_rise"]["ci_high"]


# ------------------------------------------------------------------------------ generated text


def test_bleu_is_sacrebleus():
    from sacrebleu import corpus_bleu

    rng = np.random.default_rng(0)
    words = np.array(["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "big"])
    references = [" ".join(rng.choice(words, 9)) for _ in range(40)]
    generated = [" ".join([*r.split()[:6], *rng.choice(words, 3)]) for r in references]
    score = text_scores.score("bleu", generated, references)
    assert score["value"] == pytest.approx(corpus_bleu(generated, [references]).score)
    assert score["ci_low"] < score["value"] < score["ci_high"]
    assert text_scores.score("bleu", references, references)["value"] == pytest.approx(100)


def lcs(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, j in itertools.product(range(len(a)), range(len(b))):
        same = a[i] == b[j]
        table[i + 1, j + 1] = table[i, j] + 1 if same else max(table[i, j + 1], table[i + 1, j])
    return table[-1, -1]


def test_rouge_l_is_the_longest_common_subsequence():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), rng.integers(3, 12))) for _ in range(40)]
    generated, references = texts[:20], texts[20:]
    expected = []
    for g, r in zip(map(str.split, generated), map(str.split, references), strict=True):
        common = lcs(g, r)
        expected.append(200 * common / (len(g) + len(r)))
    score = text_scores.score("rouge_l", generated, references)
    assert score["value"] == pytest.approx(np.mean(expected))
    assert score["ci_low"] < score["value"] < score["ci_high"]
    assert text_scores.score("rouge_l", ["", "x"], ["a", "b"])["value"] == 0


# ------------------------------------------------------------------------------ tables


def rows(share=1.0, metric="nll", values=(3.0, 3.5)):
    keys = {"dataset": "name2doc", "stands_in_for": "wmt14", "corruption": "teacher", "seed": 0}
    keys |= {"resample": "fixed", "budget": "fixed_total", "protocol": "text", "items": 10}
    keys |= {
        "interval": "t_sequences",
        "unit": "",
        "floor": 3.0,
        "source_share": share,
        "batch_multiplier": 1,
        "family": "seq2seq",
    }
    return [
        keys
        | {"noise_ratio": r, "error_rate": r / (1 + r), "metric": metric, "value": value}
        | {"ci_low": value, "ci_high": value, "measured_error_rate": 0.5, "reason": None}
        for r, value in zip((0, 1.0), values, strict=True)
    ]


def test_published_rises_follow_from_the_published_nll():
    names = ("nll", "nll_rise", "nll_relative_rise", "sequence_nll")
    data = pd.DataFrame([row for name in names for row in rows(metric=name)])
    table = tables.runs_table(data, config.published()["table9"])
    cells = table[table["noise_ratio"] == 1].set_index("metric")["published"]
    assert cells["nll"] == 3.3525
    assert cells["nll_rise"] == pytest.approx(0.8037)
    assert cells["nll_relative_rise"] == pytest.approx(31.5, abs=0.05)  # as the abstract says
    assert np.isnan(cells["sequence_nll"])


def test_shares_of_the_source_are_panels_of_their_own_without_a_published_number():
    data = pd.DataFrame([*rows(1.0), *rows(0.25, values=(4.0, 4.2))])
    table = tables.runs_table(data, config.published()["table9"])
    assert table["panel"].nunique() == 2
    cut = table[table["source_share"] == 0.25]
    assert cut["panel"].str.endswith("25 % of the source").all()
    assert cut["published"].isna().all()
    assert cut["ours"].tolist() == [4.0, 4.2]
