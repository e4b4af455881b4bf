"""Learning curves beside those of clean runs, the tables of them, and claims that rest on them."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from noiselab.answers import claims, layouts, stretches
from noiselab.answers.claims import Measured
from noiselab.answers.curves import curves
from noiselab.answers.figures import FIGURES
from noiselab.errors import NoiselabError
from noiselab.planning import config
from noiselab.run import Run
from test_stretches import CONTEXT, noise_run

STEPS, BATCH, CLEAN_TOKENS = 100, 10, 8000
EVALUATED = np.arange(5, STEPS + 1, 5)


def falling(step):
    """A clean learning curve."""
    return 3 + 4 * np.exp(-np.asarray(step) / 30)


def curve_run(tmp_path, share=0.0, seed=0, **changes):
    (tmp_path / "dataset.json").write_text(json.dumps({"train_tokens": CLEAN_TOKENS}))
    kind = changes.pop("kind", "uniform_text") if share else "none"
    names = {"run_id": f"{kind}-{share}-{seed}", "parents": {"clean": f"none-0.0-{seed}"}}
    names |= {"data": str(tmp_path), "seed": seed, "dataset": "d", "stands_in_for": "openwebtext"}
    names |= {"training": {"steps": STEPS, "batch_size": BATCH}, "family": "language_model"}
    if share:
        names |= {"budget": "fixed_total", "resample": "fixed"}
        return noise_run(share=share, kind=kind, **(names | changes))
    run = noise_run(**(names | changes)) | {"corruption": "none", "error_rate": 0.0}
    content = (run | {"resample": "none", "budget": "none"}).content()
    return Run.from_content({k: v for k, v in content.items() if k != "noise_text"})


def history(nll, noise=None, steps=EVALUATED, **texts):
    """Rows of history.jsonl: losses between evaluations, too. texts: of further columns."""
    rows = [{"step": int(s), "loss": 1.0} for s in steps]
    values = {"validation_nll": nll(steps)} | ({"noise_nll": noise(steps)} if noise else {})
    values |= {name: found(steps) for name, found in texts.items()}
    for i, step in enumerate(steps):
        rows.append({"step": int(step)} | {k: float(v[i]) for k, v in values.items()})
    return rows


@pytest.fixture
def table(tmp_path):
    """Two seeds at α = 0, 0.2 uniform and 0.2 Gaussian; noise makes the model as slow as fewer
    clean tokens do, and costs 0.01 (Gaussian: 0.005) more."""
    runs, histories = [], []
    for seed in (0, 1):
        runs.append(curve_run(tmp_path, seed=seed))
        histories.append(history(falling))
        for kind, cost in (("uniform_text", 0.01), ("gaussian_text", 0.005)):
            cost += 0.001 * seed
            runs.append(curve_run(tmp_path, 0.2, seed, kind=kind))
            histories.append(
                history(lambda s, c=cost: falling(0.8 * s) + c, lambda s: 8 - 0.002 * s)
            )
    return curves(runs, histories)


def test_a_curve_is_compared_at_the_same_step_and_at_as_many_clean_tokens(table):
    ends = table[table["step"] == STEPS].set_index("run_id")
    noisy, clean = ends.loc["uniform_text-0.2-0"], ends.loc["none-0.0-0"]
    assert noisy["rise"] == pytest.approx(falling(80) + 0.01 - falling(100))
    assert noisy["rise_same_tokens"] == pytest.approx(0.01)
    assert noisy["dilution"] == pytest.approx(falling(80) - falling(100))
    assert noisy["clean_tokens"] == 0.8 * STEPS * BATCH * CONTEXT
    assert noisy["noise_tokens"] == CLEAN_TOKENS / 4
    assert noisy["repeats"] == pytest.approx(0.2 * STEPS * BATCH * CONTEXT / (CLEAN_TOKENS / 4))
    assert (clean["rise"], clean["dilution"], clean["share"]) == (0, 0, 0)
    assert len(table) == 6 * len(EVALUATED)


def test_texts_out_of_the_domain_are_compared_in_the_same_two_ways(tmp_path, table):
    """Where the noisy run is as good at the same step it is better at as many clean tokens."""
    runs = [curve_run(tmp_path), curve_run(tmp_path, 0.2)]
    rows = [
        history(falling, out_of_domain_nll=lambda s: 9 - 0.01 * s, noise=n) for n in (None, falling)
    ]
    found = curves(runs, rows)
    own = found[(found["share"] > 0) & (found["step"] == STEPS)].iloc[0]
    assert own["out_of_domain_rise"] == pytest.approx(0)
    assert own["out_of_domain_dilution"] == pytest.approx(0.2)
    assert own["out_of_domain_rise_same_tokens"] == pytest.approx(-0.2)
    assert own["dilution"] == pytest.approx(falling(80) - falling(100))
    assert found["second_domain_rise"].isna().all()
    metrics = rows_of_metrics(found).assign(metric="out_of_domain_nll_rise")
    printed = {"metrics": {"out_of_domain_nll_rise": {}}}
    made = stretches.stretches_table({"stretches": metrics}, found, printed).set_index("row")
    assert made.loc["20 % uniform", "dilution"] == pytest.approx(0.2)
    without = found.drop(columns=[c for c in found if c.startswith("out_of")])  # as it was before
    made = stretches.stretches_table({"stretches": metrics}, without, printed)
    assert made["dilution"].isna().all()


def test_before_the_first_evaluation_nothing_is_known_of_the_clean_run(table):
    first = table[(table["step"] == 5) & (table["share"] > 0)]
    assert first["rise_same_tokens"].isna().all()  # at 4 steps of the clean run
    assert first["rise"].notna().all()


def test_k_is_that_of_proposition_1(table):
    own = table[table["run_id"] == "uniform_text-0.2-0"]
    last, first = own.iloc[-1], own.iloc[0]
    lost = math.exp(-falling(100)) - math.exp(-last["validation_nll"])
    gained = math.exp(-last["noise_nll"]) - math.exp(-first["noise_nll"])
    assert last["k"] == pytest.approx(lost / gained)
    assert last["p_noise"] == pytest.approx(math.exp(-first["noise_nll"]))
    assert math.isnan(first["k"])  # nothing was gained yet


def test_a_clean_run_that_lacks_is_named(tmp_path):
    with pytest.raises(NoiselabError, match=r"uniform_text-0\.2-0: the curve of its clean run"):
        curves([curve_run(tmp_path, 0.2)], [history(falling, falling)])


# ------------------------------------------------------------------------------- tables

RULED = {"nll_rise": {}, "nll_relative_rise": {"openwebtext": [0, None, 0.2, 1]}}
PRINTED = {"noise_shares": [0, 0.01, 0.05, 0.2], "metrics": RULED}


def rows_of_metrics(table: pd.DataFrame, floor=0.002) -> pd.DataFrame:
    """Rows as collect_metrics writes them, from the ends of curves."""
    rows = []
    for end in table[table["step"] == STEPS].to_dict("records"):
        common = {k: end[k] for k in ("run_id", "family", "dataset", "stands_in_for", "seed")}
        common |= {k: end[k] for k in ("corruption", "resample", "budget")}
        common |= {"tier": "smoke", "protocol": "text", "source_share": np.nan, "items": 9}
        common |= {"batch_multiplier": 1, "error_rate": end["share"], "reason": None}
        common |= {"noise_ratio": end["share"] / (1 - end["share"])}
        common |= dict.fromkeys(("ci_low", "ci_high", "excess_low", "excess_high"))
        common |= {"interval": "none", "excess_interval": "none", "floor_reason": None}
        common |= {"measured_error_rate": end["share"], "true_error_rate": end["share"]}
        for metric, scale in (("nll_rise", 1), ("nll_relative_rise", 100 / end["same_steps"])):
            unit = "nats/token" if scale == 1 else "%"
            known = floor * scale if end["share"] else 0.0
            numbers = {"value": end["rise"] * scale, "floor": known, "unit": unit}
            rows.append(common | numbers | {"metric": metric})
        known = {"unigram_nll": 6.0, "bigram_nll": 5.0, "nll": end["validation_nll"]}
        for metric, value in known.items():
            numbers = {"value": value, "floor": value, "unit": "nats/token"}
            rows.append(common | numbers | {"metric": metric})
    return pd.DataFrame(rows)


def test_a_table_has_floor_and_dilution_and_what_is_above_both(table):
    metrics = {"stretches": rows_of_metrics(table)}
    found = stretches.stretches_table(metrics, table, PRINTED)
    assert found["row"].tolist() == ["clean", "20 % uniform", "20 % Gaussian"] * 2
    rise = found[found["metric"] == "nll_rise"].set_index("row")
    dilution = falling(80) - falling(100)
    uniform = rise.loc["20 % uniform"]
    assert uniform["dilution"] == pytest.approx(dilution)
    assert uniform["ours"] == pytest.approx(dilution + 0.0105)
    assert uniform["above_both"] == pytest.approx(0.0105 - 0.002)
    assert uniform["above_low"] < uniform["above_both"] < uniform["above_high"]
    relative = found[found["metric"] == "nll_relative_rise"].set_index("row")
    assert relative.loc["20 % uniform", "dilution"] == pytest.approx(100 * dilution / falling(100))
    assert relative.loc["20 % uniform", "published"] == 1
    assert math.isnan(relative.loc["20 % Gaussian", "published"])
    assert relative.loc["clean", "published"] == 0
    text = layouts.markdown(found, "t", [])
    assert "above both [95 % CI]" in text
    assert "dilution" in text


def test_a_table_has_the_nll_on_the_way_at_the_parts_of_training_that_the_paper_prints(table):
    """Of 100,000 steps the paper shows 10,000, 50,000 and all; so do we of 100."""
    nll = {"openwebtext": [[3.04, 2.89, 2.82], [3.06, 2.92, 2.83]]}
    printed = {"noise_shares": [0, 0.2], "steps": [10_000, 50_000, 100_000]}
    printed["metrics"] = {"nll": nll, "nll_rise": {}}
    uniform = table[table["corruption"] != "gaussian_text"]
    metrics = {"large_stretches": rows_of_metrics(uniform)}
    found = stretches.milestones_table(metrics, uniform, printed)
    way = found[found["metric"] == "nll"]
    steps = ["step 10 of 100", "step 50 of 100", "step 100 of 100"]
    assert way["row"].tolist() == [f"{n}, {s}" for n in ("clean", "20 % uniform") for s in steps]
    assert way["published"].tolist() == [*nll["openwebtext"][0], *nll["openwebtext"][1]]
    expected = [*falling([10, 50, 100]), *(falling([8, 40, 80]) + 0.0105)]
    assert way["ours"].to_numpy() == pytest.approx(np.array(expected))
    assert way["floor"].isna().all()
    assert (way["ci_low"] < way["ours"]).iloc[3:].all()  # over two seeds
    (rise,) = found[(found["metric"] == "nll_rise") & (found["row"] == "20 % uniform")].itertuples()
    assert rise.floor == 0.002
    assert rise.dilution == pytest.approx(falling(80) - falling(100))
    without = rows_of_metrics(uniform)
    without.loc[without["error_rate"] > 0, ["value", "reason"]] = np.nan, "training diverged"
    lost = stretches.milestones_table({"large_stretches": without}, uniform, printed)
    assert lost["ours"].isna().tolist() == [False] * 3 + [True] * 3 + [False, True]
    alone = stretches.milestones_table(metrics, uniform, {"metrics": {"nll": {}, "nll_rise": {}}})
    assert [r for r in alone["row"] if "step" in r] == [
        f"{name}, step 100 of 100" for name in ("clean", "20 % uniform")
    ]
    assert alone["published"].isna().all()
    for render in layouts.FORMATS.values():
        assert "on the way" in str(render(found, "t", []))


def test_a_table_says_where_nothing_of_it_was_measured(table):
    """OpenWebText has no text out of its domain: a table of it, and a figure, are there all the
    same."""
    metrics = {"stretches": rows_of_metrics(table)}
    found = stretches.stretches_table(metrics, table, {"metrics": {"out_of_domain_nll_rise": {}}})
    assert found["reason"].tolist() == ["not measured on these data"]
    for render in layouts.FORMATS.values():
        assert "not measured" in str(render(found, "t", []))
    assert "othing" in FIGURES["domains"]([found]).alt
    assert "othing" in FIGURES["domain_curves"]([table]).alt


def test_rows_say_what_is_not_as_usual():
    row = {"corruption": "uniform_text", "error_rate": 0.2, "resample": "fixed", "repeats": 512.2}
    row |= {"budget": "fixed_total", "given_tokens": np.nan}
    for change, label in (
        ({}, "20 % uniform"),
        ({"resample": "fresh"}, "20 % uniform, drawn fresh"),
        ({"budget": "fixed_clean"}, "20 % uniform, as many clean tokens"),
        ({"given_tokens": 200}, "20 % uniform, 200 tokens, each 512 times"),
    ):
        assert stretches.label(pd.Series(row | change)) == label


# ------------------------------------------------------------------------------- claims


def verdicts(table: pd.DataFrame, *names: str, **changes) -> dict:
    """Tests of claims of the study, on these curves. changes: of the statistic."""
    published = config.published(["random_noise"])
    rows = rows_of_metrics(table)
    metrics = {"stretches": rows[rows["corruption"] != "gaussian_text"]}
    metrics["stretches_gaussian"] = rows[rows["corruption"] != "uniform_text"]
    chosen = {name: published["claims"][name] for name in names}
    for claim in chosen.values():
        claim["statistic"] = claim["statistic"] | {"share": 0.2} | changes
    found = claims.decide(published | {"claims": chosen}, Measured("quick", metrics, curves=table))
    return {claim["name"]: claim["tests"] for claim in found["claims"]}


def test_claims_of_curves_are_decided_by_seeds(table):
    # Seeds of one value would decide nothing.
    numbers = ["validation_nll", "rise", "dilution"]
    other = np.where(table["seed"] == 1, 1 + 1e-7, 1.0)
    table[numbers] = table[numbers].mul(other, axis=0)
    names = ("smaller_at_equal_clean_tokens", "no_collapse", "noise_is_learned_slowly")
    names += ("gaussian_noise_costs_less", "noise_costs_less_than_its_share")
    found = {name: test for name, (test,) in verdicts(table, *names).items()}
    dilution = falling(80) - falling(100)
    assert found["smaller_at_equal_clean_tokens"]["value"] == pytest.approx(dilution)
    assert found["no_collapse"]["value"] == pytest.approx(falling(40) - falling(80))
    ratio = 0.002 * 90 / (falling(8) - falling(80))
    assert found["noise_is_learned_slowly"]["value"] == pytest.approx(ratio)
    assert found["noise_is_learned_slowly"]["verdict"] == "holds"
    assert found["gaussian_noise_costs_less"]["value"] == pytest.approx(0.005)
    assert found["gaussian_noise_costs_less"]["verdict"] == "holds"
    relative = (dilution + 0.0105) / falling(100) / 0.2
    assert found["noise_costs_less_than_its_share"]["value"] == pytest.approx(relative)
    assert {test["seeds"] for test in found.values()} == {2}


def at_share(first, second):
    """The test of the difference at a share, of seed -> value of both experiments."""
    frames = {
        name: pd.DataFrame(
            {"dataset": "d", "stands_in_for": "openwebtext", "metric": "noise_nll", "seed": seed}
            | {"corruption": name, "error_rate": 0.05, "noise_ratio": 0.05 / 0.95}
            | {"value": value, "floor": value / 2, "unit": "nats/token", "interval": "t_items"}
            | {"ci_low": value - 1, "ci_high": value + 1, "source_share": np.nan}
            | {"reason": "training diverged" if np.isnan(value) else None}
            for seed, value in values.items()
        )
        for name, values in (("a", first), ("b", second))
    }
    statistic = {"kind": "at_share", "experiment": "a", "minus": "b", "metric": "noise_nll"}
    statistic |= {"share": 0.05, "of": "openwebtext"}
    (test,) = claims.STATISTICS["at_share"].tests(statistic, Measured("quick", frames))
    return test


def test_at_a_share_the_seeds_that_both_have_are_paired():
    """Two of three pairs of three seeds each: the t has one degree of freedom."""
    test = at_share({0: 9.0, 2: 3.3, 1: 3.1}, {1: 2.0, 2: 2.1, 3: 2.0})
    low, high = scipy_stats.t.interval(0.95, 1, 1.15, scipy_stats.sem([1.1, 1.2]))
    assert test.by_ruler["absolute"].estimate[:3] == pytest.approx((1.15, low, high))
    above = test.by_ruler["absolute, above the floor"].estimate
    assert above[:3] == pytest.approx((1.15 / 2, low / 2, high / 2))
    assert (test.seeds, test.interval_seeds or test.seeds) == (2, 2)
    one = at_share({2: 3.3}, {2: 2.0})
    assert one.by_ruler["absolute"].estimate[:3] == pytest.approx(
        (1.3, 1.3 - np.sqrt(2), 1.3 + np.sqrt(2))
    )
    assert (one.seeds, one.interval_seeds) == (1, 1)
    # Of one pair alone, nothing would show how much trainings differ.
    several = at_share({0: 3.0, 1: 3.2, 2: 3.4}, {2: 2.0})
    half = np.hypot(1.0, scipy_stats.t.isf(0.025, 2) * 0.2 / np.sqrt(3))
    found = several.by_ruler["absolute"].estimate
    assert found[:3] == pytest.approx((1.2, 1.2 - half, 1.2 + half))
    assert (several.seeds, several.interval_seeds) == (1, 3)
    assert at_share({0: 3.0}, {1: 2.0}).reason == "no seed that both sides have"
    assert at_share({0: 3.0, 1: np.nan}, {0: 2.0, 1: 2.0}).reason == "training diverged"


def test_one_seed_gives_no_verdict_of_a_curve(table):
    one = table[table["run_id"].str.endswith("-0")]
    (test,) = verdicts(one, "smaller_at_equal_clean_tokens")["smaller_at_equal_clean_tokens"]
    assert (test["verdict"], test["reason"]) == ("undecided", "one seed gives no interval")


def test_levels_are_not_asked_of_other_data(table):
    (test,) = verdicts(table, "level_at_20")["level_at_20"]
    assert test["verdict"] == "not asked"


def test_printed_numbers_of_claims_are_those_of_the_table():
    published = config.published(["random_noise"])
    for name, value in (("level_at_5", 0.2), ("level_at_20", 1)):
        claim = published["claims"][name]
        kind = claims.STATISTICS[claim["statistic"]["kind"]]
        assert kind.printed(claim["statistic"], published) == {"absolute": value}
        assert claim["printed"] == value
    per_share = published["claims"]["noise_costs_less_than_its_share"]
    found = claims.STATISTICS["at_share"].printed(per_share["statistic"], published)
    assert found == {"absolute": pytest.approx(per_share["printed"])}
