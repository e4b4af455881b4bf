"""Published numbers of probes, transcribed a second time, and what they say by themselves."""

import numpy as np
import pytest

from noiselab.answers import printed_probes
from noiselab.planning import config

PUBLISHED = config.published(["random_noise"])

# The rows of the tables as printed: linear and two layers of each data set.
TABLE_1 = """
86.71±0.85 87.36±0.33 49.19±0.32 49.18±0.02 63.12±0.37 62.70±0.86 85.65±0.88 84.86±0.36
87.42±0.73 87.86±0.04 49.72±0.27 49.81±0.97 63.69±0.59 62.95±0.13 86.58±0.22 86.45±0.73
87.25±0.79 87.53±0.27 49.32±0.72 49.45±0.56 63.71±0.02 64.65±0.06 84.86±0.98 84.59±0.59
87.64±0.91 87.25±0.44 49.59±0.73 50.01±0.05 63.92±0.65 64.72±0.76 85.12±0.07 85.25±0.29
86.92±0.98 87.23±0.41 49.04±0.11 50.09±0.53 63.27±0.79 62.09±0.28 85.30±0.63 84.32±0.78
87.19±1.02 87.61±0.51 49.82±0.17 48.95±0.89 63.78±0.93 62.37±0.56 85.57±0.43 84.19±0.69
86.60±1.28 86.60±0.81 49.45±0.78 49.63±0.01 63.47±0.64 64.16±0.92 85.32±0.60 85.45±0.86
87.2±0.99 86.87±0.78 49.68±0.55 50.40±0.46 63.58±0.08 64.21±0.78 85.25±0.90 85.52±0.24
85.22±0.24 86.82±0.72 46.15±0.51 49.59±0.76 63.72±0.35 64.40±0.76 84.06±0.74 83.53±0.70
85.94±0.55 87.25±0.36 48.23±0.69 50.29±0.70 64.06±0.73 64.29±0.94 84.46±0.33 83.29±0.47
"""
TABLE_2 = """
96.90±0.40 97.50±0.20 69.00±0.20 65.60±0.50 72.00±0.81 67.53±0.93 64.14±0.56 59.07±0.34
98.00±0.50 98.20±0.40 70.80±1.70 64.80±0.20 74.89±0.40 74.14±1.49 64.71±0.94 64.21±0.83
96.80±0.70 96.90±0.30 87.80±0.70 88.80±0.60 72.57±0.26 71.42±0.13 65.92±0.53 61.85±0.59
97.70±0.20 97.80±0.40 88.40±0.90 89.60±0.50 77.79±0.58 76.81±0.20 68.64±0.26 67.71±0.51
97.30±0.60 97.20±0.80 80.40±0.90 79.60±0.20 77.79±0.52 72.57±0.31 64.07±0.82 57.50±0.35
97.60±0.10 97.80±0.30 81.60±1.00 79.40±0.10 78.43±0.78 76.57±1.12 64.35±0.62 62.64±0.07
97.00±0.30 96.60±0.70 80.80±0.70 82.20±0.50 74.49±0.71 73.39±0.90 65.92±0.45 61.64±0.20
97.40±0.10 97.20±0.80 84.00±0.90 83.40±0.30 79.65±0.62 78.37±0.84 67.71±0.49 66.92±0.55
96.30±0.30 96.70±0.50 94.60±0.90 95.80±0.40 83.71±0.92 76.81±0.51 68.92±0.41 64.92±0.18
97.10±0.80 97.40±0.20 95.60±0.50 96.00±0.80 84.98±0.12 83.13±0.49 72.28±0.98 70.14±0.94
"""
# Four parts, as the table is broken.
TABLE_14 = """
93.38±0.76 94.41±1.05 92.07±1.19 95.20±1.12 97.99±0.95 98.35±0.95
93.71±1.37 94.56±1.50 95.01±0.97 95.29±1.27 98.07±0.74 98.48±0.60
86.01±1.48 88.68±0.89 91.02±0.79 94.47±0.53 97.49±1.36 98.09±0.85
86.78±1.32 89.06±1.19 94.11±1.19 94.93±0.88 97.59±0.52 98.15±0.71
56.20±0.54 58.57±1.11 89.43±0.78 91.22±1.23 94.04±1.19 95.73±1.07
57.02±1.28 58.15±1.12 90.25±1.43 91.55±0.90 94.11±0.88 95.96±0.86
56.95±1.21 59.18±1.34 91.40±1.47 92.48±1.30 96.28±1.16 96.91±0.89
58.78±1.16 58.67±1.27 93.83±0.91 93.95±0.94 96.31±0.85 97.03±0.53
68.17±0.98 74.11±0.60 92.58±0.95 94.09±1.04 98.26±0.89 98.61±0.78
69.31±1.07 73.71±0.94 93.65±1.42 94.62±0.64 98.41±0.91 98.72±1.28

88.07±0.58 89.49±0.52 97.53±1.13 97.75±0.61 65.76±0.73 68.43±0.78 91.65±1.18 93.97±1.50
88.06±0.93 89.58±0.93 97.83±0.73 98.03±0.60 66.63±1.08 68.67±1.07 93.18±0.81 94.17±1.10
86.76±0.91 87.79±1.27 95.57±1.22 96.31±1.11 57.18±1.12 62.25±0.66 94.98±0.54 95.80±0.75
86.46±1.04 87.88±1.24 96.05±1.46 96.74±1.27 58.35±0.68 63.61±0.83 95.39±1.21 95.99±0.92
77.34±0.86 80.28±1.02 94.81±1.35 95.90±0.88 44.73±1.31 46.23±0.92 93.84±1.14 94.79±1.14
77.16±1.11 80.47±1.43 95.20±0.52 96.07±1.18 45.33±0.61 47.07±0.57 94.63±1.03 94.98±1.14
84.30±1.18 84.68±1.33 97.12±1.46 97.46±1.28 42.03±0.72 48.39±0.85 91.93±0.68 92.99±1.40
84.28±1.22 84.29±1.38 97.35±1.12 97.59±0.72 45.69±0.80 48.84±0.61 92.61±0.87 93.45±1.32
89.68±1.33 90.74±0.98 97.11±0.72 97.59±0.63 54.96±1.24 61.17±1.35 92.17±0.64 94.38±1.21
89.79±0.52 91.18±1.21 97.09±1.11 97.71±1.08 56.10±0.67 60.99±0.73 93.86±0.85 94.57±1.11

90.51±1.31 91.04±1.35 94.04±1.13 97.83±0.74 80.53±1.06 83.29±0.86 78.82±1.25 84.74±1.08
90.62±1.37 91.23±0.52 96.67±1.41 98.06±1.28 82.76±0.71 83.77±0.98 79.80±0.88 84.59±1.38
89.09±1.06 90.21±0.87 94.71±1.31 98.78±1.17 76.01±1.03 78.67±1.15 66.16±0.87 72.76±0.78
88.62±0.72 90.10±1.39 97.12±0.95 98.99±0.99 77.92±0.72 80.05±1.44 68.43±1.37 73.18±0.67
76.95±0.82 81.78±0.89 84.19±0.61 88.97±1.32 69.09±1.27 73.08±1.30 54.26±0.87 61.38±0.82
76.35±0.74 81.33±1.45 86.19±1.08 89.42±0.62 71.27±1.24 73.82±1.40 56.74±0.73 63.56±0.82
84.83±1.36 84.15±1.27 96.76±0.88 98.27±0.53 72.23±0.94 76.11±1.25 60.75±0.89 64.87±1.45
84.41±0.88 84.64±1.04 98.08±1.23 98.84±0.82 74.73±1.38 77.12±1.39 62.04±1.01 65.06±0.62
90.23±0.64 92.23±0.55 97.28±0.92 99.51±1.17 75.85±0.88 80.74±1.45 62.77±1.42 69.53±1.22
90.26±1.14 92.32±1.00 99.12±1.05 99.60±0.51 77.44±1.00 80.91±0.83 64.83±0.98 68.97±1.12

95.44±1.41 95.79±0.57 67.65±1.12 73.58±1.31 82.65±0.57 83.92±0.56
95.73±1.19 95.93±1.28 71.82±0.55 74.24±0.76 82.55±1.49 83.78±0.97
92.65±1.25 93.09±0.89 60.73±1.30 66.0±0.55 72.21±0.72 77.08±0.53
92.93±0.54 93.31±1.31 64.14±0.99 67.49±0.63 73.1±1.35 78.31±1.10
87.19±1.05 89.01±0.70 50.46±1.02 50.74±1.05 53.32±0.59 51.10±1.34
87.33±0.60 89.17±1.34 50.19±0.74 51.07±0.92 54.52±1.27 50.10±0.92
90.96±0.81 91.19±0.57 50.90±0.73 49.91±1.08 77.62±0.85 77.86±1.16
91.17±0.64 91.36±0.73 54.25±0.69 49.92±1.03 79.44±0.52 78.48±0.53
92.79±1.25 94.09±0.99 50.96±1.41 53.59±1.20 77.32±0.68 78.38±1.04
93.41±1.32 94.42±0.96 53.48±0.89 54.96±0.90 81.18±1.34 79.29±1.31
"""


def cells(text: str) -> np.ndarray:
    """Values and their ±, [rows, columns, 2]."""
    blocks = [block.strip().splitlines() for block in text.strip().split("\n\n")]
    rows = [" ".join(parts).split() for parts in zip(*blocks, strict=True)]
    return np.array([[[float(n) for n in cell.split("±")] for cell in row] for row in rows])


HEADS = ("linear", "mlp")


@pytest.mark.parametrize(
    ("name", "text"),
    [("noise_probes", TABLE_1), ("llm_probes", TABLE_2), ("vision_probes", TABLE_14)],
)
def test_cells_equal_the_second_transcription(name, text):
    wanted = cells(text)
    for place, head in enumerate(HEADS):
        for part, kind in enumerate(("metrics", "spreads")):
            found = np.array(list(PUBLISHED[name][kind][head].values())).T
            np.testing.assert_array_equal(found, wanted[:, place::2, part])


# Linear and two layers, row by row; Table 4 in the order of RTE, MRPC, CoLA, STS-B.
TABLE_3 = """
EfficientNet-B3 73.27 76.62 74.02 75.90
ResNetv2-152x2 78.14 79.60 79.49 79.94
Swin-L 81.43 84.19 82.70 84.42
ConvNext-L 82.89 85.71 84.07 86.27
ViT-L 86.86 89.12 88.03 89.31
"""
TABLE_4 = """
l2_sp 70.58 87.74 60.54 89.38
l2_sp_gm 71.25 87.62 61.79 89.62
smart 72.23 87.86 63.16 90.11
smart_gm 72.94 88.61 63.28 90.42
lnsr 73.31 88.50 63.35 90.23
lnsr_gm 73.95 89.42 63.82 90.47
"""
TABLE_5 = """
plain 86.71 87.36
gradient_norm 87.04 87.24
gradient_cosine 86.89 87.52
gradient_matching 87.42 87.86
"""
TABLE_6 = "0.001 76.31 78.54 0.05 76.54 79.51 0.1 76.43 79.12"


def named(text: str) -> dict[str, list[float]]:
    """Name of each line -> its numbers."""
    lines = (line.split() for line in text.strip().splitlines())
    return {name: [float(n) for n in numbers] for name, *numbers in lines}


def test_the_smaller_tables_equal_the_second_transcription():
    averages = PUBLISHED["vision_probe_averages"]
    blocks = [averages[m][head] for m in ("plain", "gradient_matching") for head in HEADS]
    assert named(TABLE_3) == {
        column: list(numbers) for column, *numbers in zip(averages["columns"], *blocks, strict=True)
    }
    tuned = PUBLISHED["fine_tuning"]
    columns = [tuned["scores"][task] for task in ("rte", "mrpc", "cola", "stsb")]
    found = dict(zip(tuned["rows"], map(list, zip(*columns, strict=True)), strict=True))
    assert found == named(TABLE_4)
    methods = PUBLISHED["probe_methods"]
    pairs = zip(*(methods["metrics"][head]["sst2"] for head in HEADS), strict=True)
    names = [method for backbone, method in methods["rows"] if backbone == "clean"]
    assert dict(zip(names, map(list, pairs), strict=True)) == named(TABLE_5)
    tried = PUBLISHED["probe_sensitivity"]
    columns = [tried["metrics"][head]["dtd"] for head in HEADS]
    rows = zip((gamma for gamma, _ in tried["rows"]), *columns, strict=True)
    numbers = [float(n) for n in TABLE_6.split()]
    assert [number for row in rows for number in row] == numbers
    assert all(gamma == strength for gamma, strength in tried["rows"])


def test_each_task_of_table_4_is_shown_beside_its_numbers():
    tasks = config.load(tier="paper")["datasets"]
    for name in PUBLISHED["fine_tuning"]["scores"]:
        assert tasks[name]["stands_in_for"] == name


def test_rows_are_a_backbone_without_and_with_l_gm():
    for name in printed_probes.TABLES:
        rows = PUBLISHED[name]["rows"]
        assert [method for _, method in rows] == ["plain", "gradient_matching"] * 5
        assert [backbone for backbone, _ in rows[::2]] == [backbone for backbone, _ in rows[1::2]]


def test_printed_averages_are_those_of_the_cells_cut_off_but_for_five():
    """Means are cut off after two digits, not rounded. Five are others (docs/AUDIT.md)."""
    table = printed_probes.averages_table(PUBLISHED)
    off = (table["ours"] - table["published"]).round(6)
    other = table[(off < -1e-6) | (off > 0.0101)]
    assert list(zip(other["row"], other["panel"], other["published"], strict=True)) == [
        ("Table 1: uniform text, 20 %", "linear head", 71.26),
        ("Table 1: uniform text, 20 %", "two layers", 71.26),
        ("Table 1: gaussian text, 5 % + L_gm", "two layers", 71.45),
        ("Table 14: ResNetv2-152x2 + L_gm", "two layers", 79.45),
        ("Table 3: EfficientNet-B3", "two layers", 76.62),
    ]
    assert len(table) == 2 * (10 + 10 + 10 + 10)


def test_gains_are_counted_against_their_spreads():
    wanted = {}
    for name, text in (("Table 1", TABLE_1), ("Table 2", TABLE_2), ("Table 14", TABLE_14)):
        for place, head in enumerate(("linear head", "two layers")):
            own = cells(text)[:, place::2]
            pairs = [(own[i], own[i + 1]) for i in range(0, 10, 2)]
            gains = [b[:, 0] - a[:, 0] for a, b in pairs]
            both = [g > max(s, t) for (a, b), own in zip(pairs, gains, strict=True)
                    for g, s, t in zip(own, a[:, 1], b[:, 1], strict=True)]  # fmt: skip
            row = f"{name}, {head}: {len(both)} gains"
            wanted[row] = [np.sum(np.array(gains) > 0), np.sum(both), np.mean(gains)]
    table = printed_probes.gains_table(PUBLISHED).pivot(
        index="row", columns="metric", values="ours"
    )
    for row, numbers in wanted.items():
        found = table.loc[row, ["gains_above_0", "gains_above_both", "gain"]]
        assert list(found) == pytest.approx(numbers)


def test_claims_rest_on_the_cells_of_the_clean_model():
    gains = cells(TABLE_1)[1, :, 0] - cells(TABLE_1)[0, :, 0]
    wanted = {"l_gm_helps": gains[0::2].mean(), "l_gm_helps_two_layers": gains[1::2].mean()}
    wanted |= {"both_parts_count": 87.42 - 87.04, "both_parts_count_cosine": 87.42 - 86.89}
    claims = PUBLISHED["claims"]
    found = {n: c for n, c in claims.items() if c["statistic"]["kind"] == "probe_gain"}
    printed = {n: c["printed"] for n, c in found.items() if c["printed"] is not None}
    assert printed == pytest.approx(wanted)
