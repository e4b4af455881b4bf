"""Published numbers, transcribed a second time from the paper's tables."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from noiselab.planning import config

TABLES = """
table1 consistency cifar10 94.082 84.160 69.864 57.876 40.630
table1 consistency cifar100 65.236 54.262 38.882 30.404 16.996
table12 fid cifar10 3.49 3.68 3.66 3.66 3.62
table12 fid cifar100 5.38 5.70 6.09 6.12 6.28
table2 accuracy cifar10 95.30 95.11 90.18 89.19 85.35
table2 accuracy cifar100 78.96 77.33 67.68 63.71 61.65
table10 accuracy cifar10 94.17 94.15 91.28 87.99 40.72
table10 accuracy cifar100 75.54 75.83 74.05 62.44 33.39
table13 accuracy cifar10 93.85 94.08 92.11 87.96 86.28
table13 kl cifar10 0.000228 0.000241 0.000068 0.000152 0.000155
table13 tvd cifar10 0.0088 0.0089 0.0045 0.0076 0.0077
table3 accuracy imagenet10 62.302 62.500 58.929 54.563 50.794
table3 accuracy imagenet100 64.520 63.360 57.560 57.220 45.920
table3 accuracy imagenet1000 73.784 73.530 73.646 73.684 74.778
table8 train_accuracy imagenet1000 94.244 92.728 87.162 80.533 66.870
table8 accuracy imagenet1000 73.784 72.992 72.302 71.854 71.093
table7 train_nll openwebtext 2.7369 3.8744 5.3622 6.2423 7.6048
table7 nll openwebtext 2.8650 2.9758 3.1646 3.3455 3.6525
table9 nll wmt14 2.5488 2.7591 2.9625 3.0777 3.3525
table9 nll cnn_dailymail 3.3859 3.5246 3.6942 3.8015 3.9931
"""


ALL_RATIOS = [0, 0.1, 0.3, 0.5, 1.0]


def test_numbers_by_noise_ratio_equal_the_second_transcription():
    rows = {}
    for table in (
        "table1",
        "table12",
        "table2",
        "table10",
        "table13",
        "table3",
        "table8",
        "table7",
        "table9",
    ):
        entry = config.published()[table]
        assert entry["noise_ratios"] == ALL_RATIOS
        for metric, values in entry["metrics"].items():
            rows |= {(table, metric, dataset): numbers for dataset, numbers in values.items()}
    expected = [line.split() for line in TABLES.strip().splitlines()]
    assert rows == {tuple(e[:3]): pytest.approx([float(n) for n in e[3:]]) for e in expected}


def test_lengths_of_sources_are_those_of_the_text():
    """99.9th percentiles of 153 and 2343 tokens (Section 3.3); 95th 1711, 99th 2102 (K.1)."""
    entry = config.published()["source_lengths"]["quantiles"]
    assert entry["wmt14"] == {"source_q99.9": 153, "source_limit": 256}
    quantiles = dict(zip((95, 99, 99.9), (1711, 2102, 2343), strict=True))
    expected = {f"source_q{q}": tokens for q, tokens in quantiles.items()}
    assert entry["cnn_dailymail"] == expected | {"source_limit": 2048}


def test_figure_1_has_the_two_numbers_of_the_text():
    entry = config.published()["figure1_runs"]
    assert entry["noise_ratios"] == [0, 1.0]
    assert entry["metrics"]["nll"] == {"openwebtext": [2.87, 3.59]}


def test_table_5_is_the_plan_of_the_text():
    """Iterations are N (1 + r) / k with N = 600,000."""
    entry = config.published()["table5"]
    assert entry["multiplier"] == [1, 1, 1, 2, 12]
    expected = [600_000 * (1 + r) / k for r, k in zip(ALL_RATIOS, entry["multiplier"], strict=True)]
    assert entry["steps"] == pytest.approx(expected)
    # 12 samples per GPU x 1,024 tokens x 5 accumulation steps x 8 GPUs (Appendix H.1)
    assert 12 * 1024 * 5 * 8 == 491_520
    assert entry["step_tokens"] == [491_520 * k for k in entry["multiplier"]]


def test_table_6_is_the_plan_of_the_text():
    """Epochs are 300 (1 + r) / k."""
    entry = config.published()["table6"]
    multipliers = {"imagenet10": [1, 1, 1, 1, 2], "imagenet100": [1, 1, 2, 2, 4]}
    assert entry["multiplier"] == multipliers | {"imagenet1000": [1, 1, 1, 1, 1]}
    for dataset, ks in entry["multiplier"].items():
        expected = [300 * (1 + r) / k for r, k in zip(ALL_RATIOS, ks, strict=True)]
        assert entry["epochs"][dataset] == pytest.approx(expected)
        assert entry["gpu_batch"][dataset] == [128 * k for k in ks]


def test_table_4_is_consistent_with_itself():
    """Columns 25 % at batch 4 and 8, then 50 %; SNR is the quotient of the printed norms."""
    entry = config.published()["table4"]
    cases = [(case["error_rate"], case["batch_size"]) for case in entry["cases"]]
    assert cases == [(0.25, 4), (0.25, 8), (0.5, 4), (0.5, 8)]
    metrics = entry["metrics"]
    assert metrics["norm_clean"] == [6.13, 11.37, 4.19, 7.88]
    assert metrics["norm_corrupt"] == [0.84, 1.36, 1.42, 2.06]
    pairs = zip(metrics["norm_clean"], metrics["norm_corrupt"], strict=True)
    assert metrics["snr"] == pytest.approx([a / b for a, b in pairs], rel=0.006)
    cosines = [metrics[m] for m in metrics if m.startswith("cosine")]
    assert cosines == [[0.52] * 4, [0.001] * 4, [0.001] * 4]


def test_ranges_of_table_4_equal_the_second_transcription():
    text = """
    (+0.00, +0.76) (-0.00, +0.76) (+0.00, +0.73) (+0.00, +0.76)
    (-0.02, +0.02) (-0.02, +0.02) (-0.01, +0.02) (-0.01, +0.02)
    (-0.03, +0.03) (-0.03, +0.03) (-0.03, +0.03) (-0.03, +0.05)
    """
    ranges = config.published()["table4"]["ranges"]
    kinds = ("cosine_clean_clean", "cosine_corrupt_corrupt", "cosine_clean_corrupt")
    assert tuple(ranges) == kinds
    printed = [" ".join(f"({a:+.2f}, {b:+.2f})" for a, b in ranges[kind]) for kind in kinds]
    assert printed == [line.strip() for line in text.strip().splitlines()]


def test_noise_norms_of_table_4_without_empty_batches():
    """docs/AUDIT.md, 15: undone, the noise of n corrupt sequences is about sqrt(n) long, and the
    signal-to-noise ratios at 25 % are 5.0 and 7.5."""
    metrics, undone = config.published()["table4"]["metrics"], []
    for case, clean, noise in zip(
        config.published()["table4"]["cases"],
        metrics["norm_clean"],
        metrics["norm_corrupt"],
        strict=True,
    ):
        e, size = case["error_rate"], case["batch_size"]
        numbers = scipy_stats.binom(size, e)
        some = 1 - numbers.pmf(0)
        root = sum(numbers.pmf(n) * np.sqrt(n) for n in range(size + 1)) / some
        signal = clean / (1 - scipy_stats.binom(size, 1 - e).pmf(0))
        undone.append((noise / some / root, signal / (noise / some)))
    units, ratios = zip(*undone, strict=True)
    assert units == pytest.approx([1.05] * 4, abs=0.05)
    assert ratios[:2] == pytest.approx([5.0, 7.5], abs=0.05)


def test_table_11_equals_the_second_transcription():
    text = """
    480 7.5806 9.45 2.8366 17.50
    960 7.5811 7.08 2.8377 13.17
    1920 7.5809 4.58 2.8373 8.85
    3840 7.5805 3.61 2.8369 6.43
    7680 7.5807 2.40 2.8375 4.44
    """
    rows = [[float(n) for n in row.split()] for row in text.strip().splitlines()]
    entry = config.published()["table11"]
    noisy, clean = entry["models"]["noisy"], entry["models"]["clean"]
    ours = [entry["batch_sizes"], noisy["mean"], noisy["std"], clean["mean"], clean["std"]]
    assert [list(row) for row in zip(*ours, strict=True)] == rows


CLAIMS = """
language_model_resilient 2.87 3.59 relative
language_model_level 2.87 3.59 absolute
language_model_fixed_total 2.8650 3.6525 absolute
diffusion_collapses 94.082 40.630 relative
classifiers_decline 95.30 85.35 absolute
imagenet_immune 73.784 74.778 absolute
imagenet_fixed_total 73.784 71.093 absolute
structured_noise_collapses 94.17 40.72 relative
images_stay_good 3.49 3.62 relative
images_stay_good_cifar100 5.38 6.28 relative
diffusion_collapses_cifar100 65.236 16.996 relative
classifiers_decline_cifar100 78.96 61.65 absolute
imagenet100_declines 64.520 45.920 absolute
training_accuracy_falls 94.244 66.870 absolute
low_structured_noise 94.17 94.15 absolute
low_structured_noise_cifar100 75.54 75.83 absolute
structured_noise_collapses_cifar100 75.54 33.39 relative
sparse_condition_level 2.5488 3.3525 relative
rich_condition_level 3.3859 3.9931 relative
"""


def test_claims_rest_on_the_printed_numbers():
    """Clean and noisy number as the paper prints them, a second time."""
    entries = config.published(["low_quality_data"])["claims"]
    for line in CLAIMS.strip().splitlines():
        name, clean, noisy, ruler = line.split()
        clean, noisy = float(clean), float(noisy)
        change = noisy - clean if ruler == "absolute" else 100 * (noisy / clean - 1)
        assert abs(entries[name]["printed"]) == pytest.approx(abs(change), rel=2e-3), name
    # Printed: 56.81 % in the abstract, 31.5 % and 17.9 % in Section 3.3.
    assert entries["diffusion_collapses"]["printed"] == 56.81
    assert entries["rich_conditions_protect"]["printed"] == pytest.approx(31.5 - 17.9)
    assert entries["diffusion_collapses_more"]["printed"] == pytest.approx(73.95 - 56.81, abs=0.02)
    assert entries["spectrum"]["printed"] == pytest.approx(56.81 - 10.44, abs=0.01)
    assert entries["structured_noise_is_worse"]["printed"] == pytest.approx(53.45 - 9.95)
    assert entries["clean_gradients_cohere"]["printed"] == 0.52
    assert entries["corrupt_gradients_diverge"]["printed"] == 0.001
    assert entries["snr_grows"]["printed"] == pytest.approx(8.34 / 7.31, abs=0.001)
    assert entries["loss_steadies"]["printed"] == pytest.approx(100 * (1 - 2.40 / 9.45), abs=0.05)
    assert entries["marginal_is_learned"]["printed"] == 0.000241
    assert entries["sparse_condition_level"]["printed"] == 31.5
    assert entries["rich_condition_level"]["printed"] == 17.9
    relative = {"spectrum_cifar100": 73.95 - 21.92, "scale_protects_imagenet100": 28.83 + 1.35}
    relative |= {"language_model_against_diffusion": 56.81 - 25.09}
    relative |= {"structured_noise_is_worse_cifar100": 42.15 - 17.31}
    for name, value in relative.items():
        assert entries[name]["printed"] == pytest.approx(value, abs=0.02), name
    assert entries["corrupt_gradients_are_orthogonal"]["printed"] == 0.001
    assert entries["clean_gradients_cohere_more"]["printed"] == pytest.approx(0.52 - 0.001)
    assert entries["clean_sums_double"]["printed"] == pytest.approx(11.37 / 6.13, abs=0.001)
    assert entries["corrupt_sums_cancel"]["printed"] == pytest.approx(1.36 / 0.84, abs=0.001)
    assert entries["noisy_loss_is_steadier"]["printed"] == pytest.approx(3.61 / 6.43, abs=0.001)
    assert entries["information_maximum"]["printed"] == 0
    unprinted = ("information_falls_with_classes", "divergence")
    assert [name for name, c in entries.items() if c["printed"] is None] == list(unprinted)


def test_every_claim_is_complete():
    for name, claim in config.published()["claims"].items():
        assert set(claim) == {
            "place",
            "claim",
            "statistic",
            "printed",
            "unit",
            "rule",
            "why",
            "transfers",
            "tiers",
            "smallest_effect",
        }, name
        assert "paper" in claim["tiers"]
        assert len(claim["rule"]) == 1
