"""Published numbers, transcribed a second time from the paper's tables."""

import pytest

from noiselab import config

TABLES = """
table2 accuracy cifar10 95.30 95.11 90.18 89.19 85.35
table2 accuracy cifar100 78.96 77.33 67.68 63.71 61.65
table10 accuracy cifar10 94.17 94.15 91.28 87.99 40.72
table10 accuracy cifar100 75.54 75.83 74.05 62.44 33.39
table13 accuracy cifar10 93.85 94.08 92.11 87.96 86.28
table13 kl cifar10 0.000228 0.000241 0.000068 0.000152 0.000155
table13 tvd cifar10 0.0088 0.0089 0.0045 0.0076 0.0077
"""


def test_published_numbers_equal_the_second_transcription():
    rows = {}
    for table, entry in config.published().items():
        assert entry["noise_ratios"] == [0, 0.1, 0.3, 0.5, 1.0]
        for metric, values in entry["metrics"].items():
            rows |= {(table, metric, dataset): numbers for dataset, numbers in values.items()}
    expected = [line.split() for line in TABLES.strip().splitlines()]
    assert rows == {tuple(e[:3]): pytest.approx([float(n) for n in e[3:]]) for e in expected}
