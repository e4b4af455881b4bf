"""What each kind of figure shows of its table."""

import itertools
import json
import re

import numpy as np
import pytest

from figure_samples import (
    DRAWN,
    ERROR,
    FORMS,
    PRINTED,
    RATIOS,
    SOURCES,
    layers,
    learning_curves,
    losses,
    marks,
    shown,
    title,
    views,
)
from noiselab.answers import tables
from noiselab.answers.figures import (
    FIGURES,
    labels,
    languages_figure,
    samples_figure,
    save,
    saving,
)
from noiselab.answers.figures.spectrum import KEY

OF_CURVES = ("learning", "learned", "proposition", "tokens", "domain_curves")
THEORY = ("information_loss", "sample_complexity", "layer_stability", "model_stability")
TABLES = [name for name in SOURCES if name not in THEORY]
TABLES = [name for name in TABLES if name not in OF_CURVES]


@pytest.mark.parametrize("name", [name for name in TABLES if name != "gradients"])
def test_where_nothing_was_run_a_figure_says_so(name):
    empty = [table.copy() for table in SOURCES[name]()]
    for table in empty:
        table[["ours", "published", "floor"]] = np.nan
    figure = FIGURES[name](empty)
    assert re.search(
        "othing was run|Nothing of this figure|diverged|No family|images: \\.", figure.alt
    )
    for form in ("wide", "narrow"):
        assert "NaN" not in saving.svg(getattr(figure, form), figure.alt, form)


def test_the_sentence_says_what_the_table_says():
    alt = DRAWN["spectrum"].alt
    assert "With 50 % of the targets wrong, the classifier on set-2 loses 42.3 %" in alt
    assert "noise floor alone is 21.2" in alt
    assert "the diffusion model on digits least (15.2)" in alt
    words = (
        "uniform noise on set-0: 59.67 % with 50 % errors, noise floor 70.00, loss above the floor"
    )
    assert f"{words} +10.33" in DRAWN["classifier"].alt
    words = "fixed training length: 54.6667 nats/token with 50 % errors, noise floor 44.3333, loss"
    assert f"{words} above the floor +10.3333" in DRAWN["language_model"].alt
    words = "diffusion model by a sample: 58.67 % with 50 % errors"
    assert words in DRAWN["rulers"].alt
    assert "50 % of the labels are wrong" in DRAWN["information_loss"].alt
    assert "differ by at most 0.05 of a ReLU layer" in DRAWN["layer_stability"].alt
    assert "with 25 % of the source" in DRAWN["context"].alt
    for figure in DRAWN.values():
        assert re.fullmatch(r"[A-Z].{40,}\.", figure.alt)


def bars(view, style, start, end):
    """Bars of the spectrum as (height, from, to)."""
    found = []
    for layer in view["layer"]:
        across = [layer["encoding"].get(c, {}).get("field") for c in ("x", "x2")]
        if layer["mark"].get("fillOpacity") == style and across == [start, end]:
            found += [(v["top"], v[start], v[end]) for v in layer["data"]["values"]]
    return sorted(found)


@pytest.mark.parametrize("form", ["wide", "narrow"])
def test_bars_of_the_spectrum_are_cut_at_the_floor(form):
    own, printed = SOURCES["spectrum"]()
    columns = views("spectrum", form)
    assert len(columns) == 4
    for view, ratio in zip(columns, RATIOS[1:], strict=True):
        rows = own[own["noise_ratio"] == ratio]
        floors = [bar[1:] for bar in bars(view, 0.5, "zero", "floor")]
        assert floors == [(0, floor) for floor in rows["floor"]]
        above = [bar[1:] for bar in bars(view, None, "floor", "value")]
        assert above == list(rows[["floor", "ours"]].itertuples(index=False, name=None))
        unknown = [bar[1:] for bar in bars(view, None, "zero", "value")]
        assert unknown == [
            (0, v) for v in printed.loc[printed["noise_ratio"] == ratio, "published"]
        ]


def test_the_spectrum_says_where_a_model_is_too_weak_and_below_its_floor():
    own = tables.tidy(losses(["digits"], "diffusion")).assign(competence="at chance", floor=99.0)
    figure = FIGURES["spectrum"]([own, SOURCES["spectrum"]()[1]])
    view = figure.wide["hconcat"][3]
    words = [
        row["text"] for v in figure.wide["hconcat"] for _, rows in layers(v, "text") for row in rows
    ]
    assert "digits (model too weak)" in words
    assert "−58.7" in words
    assert [bar[1:] for bar in bars(view, 0.3, "value", "floor")] == [(40 + ERROR, 99.0)]
    assert figure.alt == "No family was run at the highest error rate."


@pytest.mark.parametrize("form", ["wide", "narrow"])
def test_the_key_of_the_spectrum_has_each_look_once_beside_each_other(form):
    own, printed = SOURCES["spectrum"]()
    low = own.assign(floor=99.0, stands_in_for=own["dataset"])
    for tables_, missing in (([own, printed], "pale"), ([low, printed], ""), ([low, low], "known")):
        figure = FIGURES["spectrum"](tables_)
        spec = getattr(figure, form)
        texts = [
            (row["text"], layer["encoding"]["x"]["value"], row["at"])
            for layer in spec["hconcat"][0]["layer"]
            for row in layer["data"]["values"]
            if layer["mark"]["type"] == "text" and row.get("text") in KEY.values()
        ]
        expected = [text for text in KEY.values() if not missing or missing not in text]
        assert [text for text, _, _ in texts] == expected
        font = spec["config"]["text"]["fontSize"]
        for (text, x, at), (_, following, lower) in itertools.pairwise(texts):
            assert lower >= at + font or x + labels.width(text, font) + 20 < following
        left = min(x for _, x, _ in texts) - 20
        ends = [x + labels.width(text, font) - left for text, x, _ in texts]
        assert max(ends) <= {"wide": 900, "narrow": 350}[form]


def test_scale_has_a_row_per_budget_and_a_curve_per_constant():
    found = {}
    for view in views("scale"):
        found.setdefault(title(view), {}).update(shown(view))
    text = " relative loss of accuracy at r = 1 (%)"
    for budget in ("training × (1 + r)", "fixed length"):
        per_class = found[f"{budget}, by images per class{text}"]
        assert per_class["10 classes"] == ([40, 200], [2.5, 0.5])
        images = found[f"{budget}, by images in all{text}"]
        assert images["10 classes"] == ([400, 2000], [2.5, 0.5])
        assert per_class["floor"][1] == [0, 0]


def test_batch_size_has_a_panel_per_family_and_crosses_for_divergence():
    images, text = views("batch")
    assert shown(images)["clean"] == ([1, 4], [60, 50])
    assert shown(images)["diverged"][0] == [4]
    assert marks(images, "diverged")["point"]["shape"] == "cross"
    assert title(text) == "docstrings clean-test NLL (nats/token)"
    assert set(shown(text)) == {"r = 1", "r = 1: floor"}


def test_a_larger_clean_batch_is_not_measured_by_the_floor_of_the_smallest():
    (tip,) = layers(views("batch")[0], "circle")
    told = {(v["x"], v["cell"]["title"]): v["cell"] for v in tip[1]}
    assert "noise floor" in told[1, "r = 1"]
    assert not [key for key in told[4, "clean"] if "floor" in key]


@pytest.mark.parametrize("name", ["batch", "context", "signature"])
def test_a_curve_is_solid_beside_its_dashed_floor(name):
    for view in views(name):
        strokes = {series: marks(view, series).get("line") for series in shown(view)}
        floors = [mark["stroke"] for series, mark in strokes.items() if "floor" in series]
        beside = [m for s, m in strokes.items() if m and "floor" not in s and m["stroke"] in floors]
        assert len(beside) == len(floors)
        assert not any("strokeDash" in mark for mark in beside)


def test_sample_complexity_has_a_curve_per_error_and_a_band_per_set_and_says_its_constant():
    (view,) = views("sample_complexity")
    assert {name: y for name, (_, y) in shown(view).items()}["ε = 0.2"] == [5, 50, 500]
    ((_, (band,)),) = layers(view, "rect")
    assert (band["y"], band["y2"], band["text"]) == (500, 1000, "1,000 examples")
    assert "c₀ = 2.5 (not known) and δ = 0.05" in title(view)


def test_information_loss_has_a_ring_at_each_maximum_and_marks_the_experiments():
    (view,) = views("information_loss")
    lines = shown(view, "line")
    assert [name.split(":")[0] for name in lines] == ["n = 2", "n = 10", "n = 50,257"]
    rings = shown(view, "point")
    assert [x for x, _ in rings.values()] == [[0.5], [0.9], [50_256 / 50_257]]
    uprights = [v for mark, values in layers(view, "rule") for v in values if "text" in v]
    assert [v["x"] for v in uprights] == pytest.approx([1 / 11, 3 / 13, 1 / 3, 1 / 2])
    assert [v["text"] for v in uprights] == ["9 %", "23 %", "33 %", "50 %"]


def test_gradients_have_a_row_per_protocol_with_rays_and_growth():
    found = views("gradients")
    assert [title(view).split(" across")[0] for view in found[::2]] == [
        "(a) token noise (text)",
        "(a) sequence noise (released code)",
    ]
    for plane, sums in (found[:2], found[2:]):
        points = shown(plane, "point")
        assert points["clean targets"] == ([2, 3], [1, -1])
        rays = [values for mark, values in layers(plane, "rule") if "x" in values[0]]
        assert [(v["x"], v["y"]) for v in rays[0]] == [(2, 1), (3, -1)]
        units = [
            (scale["domain"][1] - scale["domain"][0]) / plane[side]
            for side, axis in (("width", "x"), ("height", "y"))
            for scale in [plane["encoding"][axis]["scale"]]
        ]
        assert units[0] == pytest.approx(units[1])
        assert "25 %" in plane["encoding"]["x"]["axis"]["title"]
        assert "3.4 %" in title(plane)
        orthogonal = shown(plane, "line")["clean ones, were they orthogonal"]
        assert orthogonal[0][0] == pytest.approx(3 / np.sqrt(2))  # two of mean length 3
        assert shown(sums, "point")["clean sum"] == ([1, 2, 4], [3, 6, 12])
        assert {sums["encoding"][a]["scale"]["type"] for a in "xy"} == {"log"}
        lines = shown(sums, "line")
        slopes = [np.polyfit(*np.log(lines[name]), 1)[0] for name in ("∝ m", "∝ √m")]
        assert slopes == pytest.approx([1, 0.5])
        assert lines["clean, predicted"][1] == pytest.approx([3.1, 6.2, 12.4])
        assert "clean 0.520, corrupt 0.001" in title(sums)
        assert "SNR: 1.00 at m = 1, 2.00 at m = 4" in title(sums)


def test_samples_are_pictures_and_nothing_to_point_at(tmp_path):
    rng = np.random.default_rng(0)
    sheet = rng.integers(0, 256, (21, 9, 3), dtype=np.uint8)
    figure = samples_figure({("digits", ((False, e), f"r = {e}")): sheet for e in (1, 0)})
    save(figure, [tmp_path / f"s{form}" for form in FORMS])
    assert set(json.loads((tmp_path / "s.json").read_text())) == {"alt"}
    svg = (tmp_path / "s.svg").read_text()
    assert svg.count("data:image/png;base64,") == 2
    assert svg.index("r = 0") < svg.index("r = 1")
    assert "graphics-symbol" not in svg, "a symbol without a name, for a screen reader"


def test_learning_curves_are_means_of_the_seeds_from_a_tenth_of_the_training_on():
    (table,) = learning_curves()
    clean, rise, tokens = views("learning")
    own = table[(table["share"] == 0.2) & (table["corruption"] == "uniform_text")]
    own = own[(own["resample"] == "fixed") & own["given_tokens"].isna()].groupby("step")
    steps, values = shown(clean)["α = 20 %"]
    assert steps == [float(step) for step in range(10, 101, 10)]
    assert values == pytest.approx(own["validation_nll"].mean())
    assert shown(rise)["α = 5 %"][1] == pytest.approx([0.05 / 3 + 0.5 / 99] * 10)
    assert shown(tokens)["α = 5 %"][0][-1] == 95_000
    assert "α = 0 %" not in shown(rise)


def test_the_ring_is_at_eta():
    (panel,) = [view for view in views("proposition") if "Eq. 14" in title(view)]
    rings = [v for mark, v in layers(panel, "point") if mark["fill"] == "none"]
    shares = [(0.05, 111.0), (0.2, 111.0)]
    etas = [share * 0.05 - (1 - share) * k * 1e-3 for share, k in shares]
    assert all(eta < 0 for eta in etas)  # here no share pays, so there is no ring
    assert not any(values for values in rings if "x" in values[0])


def test_figure_9_says_what_the_printed_numbers_give():
    figure = languages_figure(PRINTED)
    assert "by 0.054 nats at η" in figure.alt
    assert "by 0.111 at 2 η; the paper says no more than 0.1" in figure.alt
    assert set(figure.data["series"]) >= {"η and 2 η", "Eq. 14"}
