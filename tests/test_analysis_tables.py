"""Tables of other sources than scores: plans, spreads of the loss, gradients, lengths, teachers."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from noiselab.answers import analysis_tables, layouts, tables
from noiselab.planning import config, runs
from table_samples import texts


def test_plan_table_at_paper_size_is_table_5():
    settings = config.load(tier="paper")
    plan = runs.plan(settings, "r")
    chosen = [plan.runs[r] for r in plan.experiments["figure1_runs"]]
    table = tables.plan_table(chosen, config.published()["table5"])
    compared = table.dropna(subset="published")
    assert len(compared) == 15
    assert (compared["ours"] == compared["published"]).all()
    clean = table[table["metric"] == "clean_examples"]["ours"]
    assert clean.max() / clean.min() == pytest.approx(1, abs=1e-4)


def paper_plan(protocol, *metrics):
    settings = config.load({"experiments": {"table3": {"protocol": protocol}}}, tier="paper")
    plan = runs.plan(settings, "r")
    chosen = [plan.runs[r] for r in plan.experiments["table3"]]
    table = tables.plan_table(chosen, config.published()["table6"])
    return [table[table["metric"] == metric] for metric in metrics]


def test_plan_table_at_paper_size_has_the_batches_of_table_6():
    multipliers, _, per_gpu = paper_plan("text", "multiplier", "epochs", "gpu_batch")
    assert (multipliers["ours"] == multipliers["published"]).all()
    assert (per_gpu["ours"] == per_gpu["published"]).all()


def test_epochs_of_table_6_are_those_of_the_released_protocol():
    """docs/AUDIT.md, 14: an epoch does not shrink when the batch grows, so printed epochs that are
    divided by k show the runs with larger batches less clean data than the clean run has."""
    for protocol in ("text", "released"):
        (epochs,) = paper_plan(protocol, "epochs")
        exposure = epochs["ours"] * (1 - epochs["error_rate"])
        assert (abs(exposure - 300) < 1).all() == (protocol == "text")
        same = abs(epochs["ours"] - epochs["published"]) < 0.5
        assert same.all() == (protocol == "released")
    released = epochs.set_index(["dataset", "noise_ratio"])["ours"]
    assert released["imagenet100", 1.0] == pytest.approx(150, abs=0.1)


def stability(seeds=1, spread=0.0):
    """Rows of measure_loss_stability, `spread` nats apart from seed to seed."""
    return pd.DataFrame(
        {
            "dataset": "docstrings",
            "stands_in_for": "openwebtext",
            "noise_ratio": ratio,
            "error_rate": ratio / 2,
            "seed": seed,
            "batch_size": size,
            "macro_batches": 200,
            "mean": 3.0 + spread * seed,
            "std": 0.01 * np.sqrt(480 / size) * (1 + spread * seed),
            "ci_low": 0.0,
            "ci_high": 1.0,
            "interval": "chi2_batches",
        }
        for seed in range(seeds)
        for ratio in (0.0, 1.0)
        for size in (1920, 480)
    )


def stability_table(measured):
    return analysis_tables.stability_table(measured, config.published()["table11"])


def test_stability_table_predicts_the_square_root():
    table = stability_table(stability())
    spread = table[table["metric"] == "std"]
    assert spread["ours"].tolist() == pytest.approx([10, 5, 10, 5])
    assert spread["excess"].tolist() == pytest.approx([0, 0, 0, 0])
    assert spread["published"].tolist() == [17.50, 8.85, 9.45, 4.58]
    assert set(spread["interval"]) == {"chi2_batches"}
    mean = table[table["metric"] == "mean"]
    assert (mean["ci_high"] - mean["ours"]).tolist() == pytest.approx(
        [1.96 * std / 1000 / np.sqrt(200) for std in spread["ours"]]
    )
    assert set(table["n_seeds"]) == {1}


def test_excess_of_a_spread_is_over_trainings_or_of_two_independent_spreads():
    measured = stability(3)
    measured.loc[measured["batch_size"] == 1920, "std"] *= [1.0, 1.0, 1.2, 1.2, 1.4, 1.4]
    spread = stability_table(measured).query("metric == 'std' and row == '1920 sequences'").iloc[0]
    low, high = stats.t.interval(0.95, 2, 1.0, stats.sem([0, 1, 2]))
    assert (spread["excess_low"], spread["excess_high"]) == pytest.approx((low, high))
    one = stability().assign(ci_low=lambda f: 0.9 * f["std"], ci_high=lambda f: 1.2 * f["std"])
    spread = stability_table(one).query("metric == 'std'").set_index("row")
    found = spread.loc["1920 sequences"].iloc[0]
    assert found["excess_low"] == pytest.approx(-np.hypot(0.5, 1.0))
    assert found["excess_high"] == pytest.approx(np.hypot(1.0, 0.5))
    assert spread.loc["480 sequences", "excess_low"].isna().all()


def test_stability_table_averages_over_seeds():
    one, same, spread = (stability_table(stability(*case)) for case in ((1,), (2,), (3, 0.5)))
    for column in ("row", "panel", "metric", "ours", "floor", "published"):
        pd.testing.assert_series_equal(same[column], one[column])
    assert set(same["n_seeds"]) == {2}
    assert set(spread["n_seeds"]) == {3}
    assert set(spread["interval"]) == {"t_seeds"}
    mean = spread[spread["metric"] == "mean"].iloc[0]
    assert mean["ours"] == pytest.approx(3.5)
    half = 4.302653 * 0.5 / np.sqrt(3)  # Student's t with 2 degrees of freedom
    assert (mean["ci_low"], mean["ci_high"]) == pytest.approx((3.5 - half, 3.5 + half))
    std = spread[spread["metric"] == "std"].iloc[0]
    assert std["ours"] == pytest.approx(15)
    assert std["ci_high"] - 15 == pytest.approx(4.302653 * 5 / np.sqrt(3))


def gradients(cosine=0.1, norm=2.0, **changes):
    """One row of measure_gradients."""
    row = {"dataset": "d", "stands_in_for": "openwebtext", "protocol": "tokens", "batches": 3}
    row |= {"error_rate": 0.5, "batch_size": 8}
    for pair in ("clean_clean", "corrupt_corrupt", "clean_corrupt"):
        values = {"mean": cosine, "min": cosine - 0.1, "max": cosine + 0.2}
        row |= {f"cosine_{pair}_{what}": value for what, value in values.items()}
    for kind in ("clean", "corrupt"):
        row |= {f"norm_{kind}": norm, f"norm_{kind}_se": 0.1}
    return row | {"snr": 2.0} | changes


def gradient_table(*measured):
    return analysis_tables.gradient_table(pd.DataFrame(measured), config.published()["table4"])


def test_gradient_table_puts_the_papers_numbers_at_their_case():
    table = gradient_table(gradients(), gradients(batch_size=4))
    by_metric = table.iloc[:6].set_index("metric")
    assert by_metric["published"][["norm_clean", "snr"]].tolist() == [7.88, 3.83]
    assert by_metric["ci_high"]["norm_clean"] == pytest.approx(2.0 + 0.196)
    assert by_metric["ci_high"][["cosine_clean_clean"]].tolist() == pytest.approx([0.3])
    assert np.isnan(by_metric["ci_high"]["snr"])
    assert set(table["n_seeds"]) == {1}
    assert "token noise, 50 %, batch 8" in layouts.data(table, "t", [])


def test_gradient_table_prints_the_ranges_of_the_paper():
    grid = texts(gradient_table(gradients(), gradients(batch_size=16)))
    heads = [kind for _, kind in grid.columns]
    ours = "ours [min, max; norms: 95 % CI]"
    assert heads == ["paper, OpenWebText", "paper (min, max)", ours, ours]
    ranges = grid.xs("paper (min, max)", axis=1, level=1).squeeze()
    assert ranges["cosine, clean–corrupt"] == "(-0.03, +0.05)"
    assert (ranges[["norm of clean sum", "signal-to-noise ratio"]] == "").all()


def test_batches_with_nothing_to_sum_as_left_out_and_as_zero():
    """Norms of batches one by one; two of ten have no corrupt sequence."""
    clean, corrupt = np.linspace(3, 4, 10), np.linspace(1, 2, 8)
    means = {"norm_clean": clean.mean(), "norm_corrupt": corrupt.mean()}
    means |= {"snr": clean.mean() / corrupt.mean(), "batches": 10}
    row = gradients(batches_without_clean=0, batches_without_corrupt=2, **means)
    table = gradient_table(row | {"protocol": "sequences"}).set_index("metric")
    zeros = np.concatenate([corrupt, [0, 0]])
    expected = [clean.mean(), zeros.mean(), clean.mean() / zeros.mean()]
    assert list(table["with_empty"].dropna()) == pytest.approx(expected)
    assert table.loc["snr", "ours"] == pytest.approx(clean.mean() / corrupt.mean())
    heads = [kind for _, kind in texts(table.reset_index()).columns]
    assert heads[-1] == "ours, empty batches as 0"


def test_gradient_table_averages_over_seeds():
    one = gradient_table(gradients())
    same = gradient_table(gradients(), gradients())
    for column in ("row", "panel", "metric", "ours", "published"):
        pd.testing.assert_series_equal(same[column], one[column])
    assert set(same["n_seeds"]) == {2}

    table = gradient_table(gradients(), gradients(cosine=0.5, norm=3.0)).set_index("metric")
    cosine, norm = table.loc["cosine_clean_clean"], table.loc["norm_clean"]
    assert cosine[["ours", "ci_low", "ci_high"]].tolist() == pytest.approx([0.3, 0.0, 0.7])
    assert cosine["interval"] == "range"
    half = 12.706205 * 0.5  # Student's t with 1 degree of freedom, standard error 1/2
    assert norm[["ours", "ci_low", "ci_high"]].tolist() == pytest.approx(
        [2.5, 2.5 - half, 2.5 + half]
    )
    assert norm["interval"] == "t_seeds"


def test_a_pair_that_one_seed_lacks_is_not_counted_for_it():
    lacking = gradients(norm_corrupt=None, snr=None, norm_corrupt_se=None)
    lacking |= {f"cosine_clean_corrupt_{what}": None for what in ("mean", "min", "max")}
    table = gradient_table(gradients(norm=3.0), lacking).set_index("metric")
    for metric in ("cosine_clean_corrupt", "norm_corrupt", "snr"):
        assert table.loc[metric, "n_seeds"] == 1
        assert table.loc[metric, "reason"] is None
    assert table.loc["norm_corrupt", "ours"] == 3.0
    assert table.loc["norm_corrupt", "interval"] == "t_batches"
    absent = gradient_table(lacking).set_index("metric").loc["norm_corrupt"]
    assert absent["reason"] == "no such pair in any batch"


def test_source_lengths_stand_beside_the_printed_ones():
    row = {"dataset": "code2doc", "stands_in_for": "cnn_dailymail", "sources": 9}
    row |= {"source_q50": 80.0, "source_q95": 200.0, "source_q99": 300.5, "source_q99.9": 400.0}
    row |= {"source_limit": 64, "source_clipped": 62.5}
    published = config.published()["source_lengths"]
    table = tables.lengths_table(pd.DataFrame([row]), published)
    grid = texts(table)
    (paper, ours) = grid.columns
    assert list(grid[paper]) == ["", "1,711", "2,102", "2,343", "2,048", ""]
    assert list(grid[ours]) == ["80", "200", "300", "400", "64", "62.5"]
    assert grid.index[-1] == "longer sources, which are clipped (%)"


def test_rows_that_only_one_data_set_has_are_blank_for_the_other():
    decoded = []
    for dataset, score in (("a", "bleu"), ("b", "rouge_l")):
        run = {"dataset": dataset, "stands_in_for": None, "protocol": "text"}
        lengths = dict.fromkeys(("mean", "q5", "q25", "q50", "q75", "q95", "q100"), 7.0)
        content = {"run": run, "pairs": 9, "ended": 1.0, "empty": 0.0, "identical": 0.0}
        values = {"metric": score, "pairs": 9, "value": 3.0, "ci_low": 2.0, "ci_high": 4.0}
        content |= {"lengths": lengths, "clean_lengths": lengths}
        decoded.append(content | {"score": values | {"interval": "t_items"}})
    table = tables.teacher_table(decoded)
    grid = texts(table)
    (a, b) = grid.columns
    assert grid.loc["BLEU"].tolist() == ["3.00 [2.00, 4.00]", ""]
    assert (grid.loc["ROUGE-L", a], grid.loc["ROUGE-L", b]) == ("", "3.00 [2.00, 4.00]")
    assert list(grid.index) == list(dict.fromkeys(table["row"]))
    for render in layouts.FORMATS.values():
        assert "nan" not in render(table, "title", [])
