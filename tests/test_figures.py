"""Figures show what the tables say, on any page, the same on any machine."""

import itertools
import json
import re
import shutil
from functools import cache

import numpy as np
import pandas as pd
import pytest
import vl_convert
from PIL import Image

from noiselab.answers import tables
from noiselab.answers.figures import (
    FIGURES,
    drawing,
    labels,
    languages_figure,
    samples_figure,
    save,
    saving,
)
from noiselab.answers.figures.spectrum import KEY
from noiselab.answers.figures.vegalite import VERSION
from test_model_stability import rows as stability_rows

RATIOS = (0.0, 0.1, 0.3, 0.5, 1.0)
FORMS = ("_narrow.svg", ".svg", ".png", ".csv", ".json")
ERROR = 1 / 3  # a number that no short text holds


def cell(**values):
    """One row of a tidy table, of five trainings."""
    row = {"ours": 10.0, "ci_low": 8.0, "ci_high": 13.0, "floor": 0.0, "unit": "%", "n_seeds": 5}
    row |= {"noise_ratio": 1.0, "dataset": "glyphs", "stands_in_for": "cifar10"}
    row |= {"interval": "t_seeds", "corruption": "uniform_label", "family": "classifier"} | values
    row["error_rate"] = row["noise_ratio"] / (1 + row["noise_ratio"])
    row |= {
        "excess_low": row["ci_low"] - row["floor"],
        "excess_high": row["ci_high"] - row["floor"],
    }
    if row["noise_ratio"] == 0:
        row["corruption"] = "none"
    return row


def course(sign=-1, **values):
    """Cells at all noise ratios, each with numbers of its own; sign: 1 for a loss, which rises."""
    start = values.pop("ours", 90.0)
    found = []
    for ratio in RATIOS:
        ours = start + sign * (30 * ratio + ERROR)
        ends = {"ci_low": ours - 1 - ratio, "ci_high": ours + 1 + ratio}
        row = {"ours": ours, **ends, "floor": start + sign * 20 * ratio, "published": ours - 2}
        found.append(cell(noise_ratio=ratio, **(row | values)))
    return found


def each(datasets, **values):
    """The same of several data sets."""
    return [
        row for i, d in enumerate(datasets) for row in course(dataset=d, ours=90.0 - i, **values)
    ]


def losses(datasets, family, start=40):
    """Relative losses, of the spectrum: what is lost grows, and so does its floor."""
    return [
        row
        | {"panel": "", "ours": own, "ci_low": own - 1, "ci_high": own + 1, "floor": own / 2}
        | {"excess_low": own / 2 - 1, "excess_high": own / 2 + 1, "published": own}
        | {"metric": "accuracy_relative_drop"}
        for i, d in enumerate(datasets)
        for row in course(dataset=d, family=family)
        for own in [(start + i) * row["noise_ratio"] + ERROR]
    ]


def many(number):
    return [f"set-{i}" for i in range(number)]


def information():
    rate = {2: 0.5, 10: 0.9, 50_257: 50_256 / 50_257}
    return pd.concat(
        pd.DataFrame({"classes": n, "error_rate": e, "relative_information_loss": e / greatest})
        for n, greatest in rate.items()
        for e in [np.append(np.linspace(0, 0.4, 5), greatest)]
    )


def complexity():
    d = np.array([1.0, 10, 100])
    needed = pd.concat(
        pd.DataFrame({"error": e, "vc_dimension": d, "needed": d / e, "constant": 2.5})
        for e in (0.1, 0.2)
    ).assign(confidence=0.05)
    sets = pd.DataFrame({"examples": 1000, "error_rate": [0, 0.5], "clean_examples": [1000, 500]})
    return [needed, sets]


def layer_shares():
    """Of two widths, two variances and stacks of three layers, at three correlations."""
    settings = {"relu": (8, 32), "attention": (0.5, 1), "stack": (1, 2, 3)}
    settings["residual_stack"] = settings["stack"]
    rows = [
        {"part": part, "setting": setting, "rho": rho, "measured": rho, "theory": rho + 0.05}
        for part, values in settings.items()
        for setting in values
        for rho in (0.0, 0.5, 0.9)
    ]
    table = pd.DataFrame(rows).assign(networks=4)
    return [table.assign(ci_low=table["measured"] - 0.1, ci_high=table["measured"] + 0.1)]


def gradients():
    protocols = ("tokens", "sequences")
    projection = pd.DataFrame(
        {"protocol": protocol, "kind": kind, "x": x, "y": y, "share_x": 0.25, "share_y": 0.034}
        for protocol in protocols
        for kind, x, y in (("clean", 2, 1), ("clean", 3, -1), ("corrupt", 0, 2))
    )
    growth = pd.DataFrame(
        {"protocol": protocol, "count": m, "snr": m**0.5}
        | {"norm_clean": 3.0 * m, "norm_clean_se": 0.1, "predicted_clean": 3.1 * m}
        | {"norm_corrupt": m**0.5, "norm_corrupt_se": 0.1, "predicted_corrupt": 1.1 * m**0.5}
        | {"cosine_clean": 0.52, "cosine_corrupt": 0.001}
        for protocol in protocols
        for m in (1, 2, 4)
    )
    return [projection, growth]


def scale():
    """Relative loss of accuracy of 100 / images per class, whatever the classes."""
    sizes = ((10, 40), (10, 200), (50, 40), (200, 10), (200, 40), (2, 7), (3, 8), (4, 9), (5, 11))
    return tables.tidy(
        [
            cell(metric="accuracy_relative_drop", budget=budget, classes=classes, **sized)
            for budget in ("fixed_clean", "fixed_total")
            for classes, per_class in sizes
            for sized in [
                {"train_size": classes * per_class, "ours": 100 / per_class}
                | {"ci_low": 90 / per_class, "ci_high": 110 / per_class}
            ]
        ]
    )


def generated_grid():
    """Consistency lost beyond the floor: 100 / images per class + 1,000 / steps + classes / 10."""
    sizes = ((5, 40), (5, 160), (20, 40), (20, 160))
    rows = [
        cell(metric="consistency_drop", unit="points", classes=classes, train_size=classes * images)
        | {"ours": 50 + above, "floor": 50.0, "steps": steps, "n_seeds": 3}
        | {"excess_low": above - 1, "excess_high": above + 1}
        for classes, images in sizes
        for steps in (500, 2000)
        for above in [100 / images + 1000 / steps + classes / 10]
    ]
    return [tables.tidy(rows).assign(steps=[row["steps"] for row in rows])]


def batches():
    images = [
        cell(metric="accuracy", noise_ratio=ratio, batch_multiplier=k)
        | {"ours": value, "ci_low": value - 1, "ci_high": value + 1}
        for ratio, k, value in ((0, 1, 60.0), (0, 4, 50.0), (1.0, 1, 40.0), (1.0, 4, np.nan))
    ]
    text = [cell(metric="nll", dataset="docstrings", unit="nats/token", batch_multiplier=1)]
    return [tables.tidy(images), tables.tidy(text)]


def rises(number):
    rows = []
    for metric in ("nll_relative_rise", "nll_rise", "sequence_nll_rise"):
        rows += each(many(number), metric=metric, stands_in_for="wmt14")
    return tables.tidy(rows)


def language():
    rows = [
        row
        for m in ("nll", "train_nll", "denoised_nll")
        for row in course(1, metric=m, ours=24.0 + ERROR)
    ]
    rows = [row | {"unit": "nats/token", "budget": "fixed_clean"} for row in rows]
    return [tables.tidy(rows), tables.tidy([row | {"budget": "fixed_total"} for row in rows])]


def rulers():
    parts = (("classifier", "accuracy"), ("classifier", "sampled_accuracy"))
    parts += (("diffusion", "denoising_accuracy"), ("diffusion", "consistency"))
    return tables.tidy([row for f, m in parts for row in each(many(2), family=f, metric=m)])


def context():
    shares = [(share, ratio) for share in (0.25, 1.0) for ratio in (0, 1)]
    return tables.tidy(
        [
            cell(metric=metric, dataset=dataset, noise_ratio=ratio, source_share=share)
            for metric in ("sequence_nll", "sequence_nll_rise")
            for dataset in many(4)
            for share, ratio in shares
        ]
    )


def spectrum():
    own = losses(many(3), "classifier") + losses(["digits"], "diffusion", start=30)
    return [tables.tidy(own), tables.tidy(losses(["cifar10"], "seq2seq")).assign(floor=np.nan)]


def classifier():
    uniform, shifted = (
        tables.tidy(each(many(3), metric="accuracy", corruption=c))
        for c in ("uniform_label", "shift_label")
    )
    return [uniform, shifted]


def label_noise():
    """CIFAR-10 in all three tables, digits in the first two."""
    anew = [
        tables.tidy(each(["cifar10", "digits"], metric="accuracy", corruption=corruption))
        for corruption in ("uniform_label", "shift_label")
    ]
    for table in anew:
        table["measured_error_rate"] = table["error_rate"]
    kinds = (("none", 0.0, 92.0), ("given_labels", 0.4, 80.0), ("given_labels", 0.17, 88.0))
    kinds += (("transition_matrix", 0.4, 83.0), ("uniform_label", 0.4, 85.0))
    once = [
        cell(metric="accuracy", dataset="cifar10", corruption=corruption, ours=value)
        | {"ci_low": value - 1, "ci_high": value + 1, "floor": 90.0, "corruption": corruption}
        | {"error_rate": None, "measured_error_rate": share}
        for corruption, share, value in kinds
    ]
    return [*anew, tables.tidy(once)]


def learning_curves():
    """Curves of two seeds at three shares, of all kinds of noise text."""
    kinds = [("uniform_text", "fixed", np.nan), ("uniform_text", "fresh", np.nan)]
    kinds += [("gaussian_text", "fixed", np.nan), ("uniform_text", "fixed", 200.0)]
    found = []
    for seed, step in itertools.product((0, 1), range(10, 101, 10)):
        for (kind, resample, tokens), share in itertools.product(kinds, (0.0, 0.05, 0.2)):
            row = {"step": step, "progress": step / 100, "share": share, "budget": "fixed_total"}
            row |= {"corruption": kind if share else "none", "resample": resample}
            row |= {"given_tokens": tokens if share else np.nan, "repeats": step * share + 0.1}
            row |= {
                "validation_nll": 3 + share + 1 / step + ERROR * seed,
                "noise_nll": 7 - step / 99,
            }
            row |= {"rise": share / 3 + seed / 99, "rise_same_tokens": share / 7 + seed / 98}
            row |= {"out_of_domain_rise": share / 4, "out_of_domain_rise_same_tokens": share / 5}
            row |= {"second_domain_rise": -share / 6, "second_domain_rise_same_tokens": np.nan}
            row |= {"clean_tokens": step * 1000 * (1 - share), "p_clean": 0.05, "p_noise": 1e-3}
            found.append(row | {"k": 10.0 + step + seed if share else np.nan})
    return [pd.DataFrame(found).drop_duplicates(["step", "share", "corruption", "validation_nll"])]


def noise_table(*metrics):
    """A table of stretches of noise."""
    kinds = [("uniform_text", "fixed"), ("gaussian_text", "fixed"), ("uniform_text", "fresh")]
    kinds += [("uniform_token", "fresh")]
    rows = [
        cell(metric=metric, noise_ratio=share / (1 - share), corruption=kind, resample=resample)
        | {
            "ours": share * (1 + i) + ERROR,
            "ci_low": share,
            "ci_high": 2 + share,
            "floor": share / 9,
        }
        for metric in metrics
        for i, (kind, resample) in enumerate(kinds)
        for share in ((0.0, 0.05, 0.2) if resample == "fixed" or "token" in kind else (0.05,))
    ]
    table = tables.tidy(rows).assign(budget="fixed_total")
    return table.drop_duplicates(["metric", "corruption", "resample", "error_rate"])


def token_probabilities():
    uniform = np.full(1030, 1 / 1030)
    return pd.DataFrame({"dataset": "d", "token": range(1030), "clean": uniform}).assign(
        uniform_text=uniform, gaussian_text=np.r_[np.zeros(1000), np.full(30, 1 / 30)]
    )


SOURCES = {
    "learning": learning_curves,
    "learned": learning_curves,
    "proposition": learning_curves,
    "domains": lambda: [noise_table("out_of_domain_nll_rise", "second_domain_nll_rise")],
    "domain_curves": learning_curves,
    "signature": lambda: [noise_table("nll_rise")],
    "tokens": lambda: [token_probabilities()],
    "classifier": classifier,
    "label_noise": label_noise,
    "language_model": language,
    "rulers": lambda: [rulers()],
    "seq2seq": lambda: [rises(5)],
    "information_loss": lambda: [information()],
    "sample_complexity": complexity,
    "layer_stability": layer_shares,
    "model_stability": lambda: [stability_rows()],
    "gradients": gradients,
    "context": lambda: [context()],
    "scale": lambda: [scale()],
    "batch": batches,
    "generated_grid": generated_grid,
    "spectrum": spectrum,
}
DRAWN = {name: FIGURES[name](source()) for name, source in SOURCES.items()}
CURVES = [name for name in DRAWN if name != "spectrum"]


# ------------------------------------------------------------------ what a specification shows


def views(name, form="wide"):
    """Its panels."""
    spec = getattr(DRAWN[name], form)
    return spec.get("concat") or spec["hconcat"]


def layers(view, *kinds):
    """(mark, values) of the layers with data of these kinds of marks."""
    return [
        (layer["mark"], layer["data"]["values"])
        for layer in view["layer"]
        if layer["mark"]["type"] in kinds
    ]


def shown(view, *kinds):
    """series -> (x, y) of the curves of a panel."""
    found = {}
    for _, values in layers(view, *(kinds or ("line", "point"))):
        if values and "x" in values[0]:
            columns = ([v["x"] for v in values], [v["y"] for v in values])
            found[values[0]["series"]] = columns
    return found


def title(view):
    """The words above a panel, upper lines first."""
    rows = [row for _, values in layers(view, "text") for row in values if row.get("at", 0) < 0]
    return " ".join(row["text"] for row in sorted(rows, key=lambda row: row["at"]))


def size(svg):
    """Width and height in pixels."""
    return [float(n) for n in re.search(r'width="([\d.]+)" height="([\d.]+)"', svg).groups()]


@cache
def svgs(name):
    figure = DRAWN[name]
    return {
        form: saving.svg(getattr(figure, form), figure.alt, form) for form in ("wide", "narrow")
    }


def test_every_builder_is_tried():
    """Pictures of planes have no curves: tests/test_heads.py."""
    assert {*SOURCES, "regions"} == set(FIGURES)


@pytest.mark.parametrize("form", ["wide", "narrow"])
def test_numbers_are_those_of_the_table_to_the_last_digit(form):
    (table, _) = SOURCES["classifier"]()
    view = views("classifier", form)[1]
    own = table[table["dataset"] == "set-1"]
    curves = shown(view)
    assert curves["ours"] == (own["error_rate"].tolist(), own["ours"].tolist())
    assert curves["floor"][1] == own["floor"].tolist()
    assert curves["paper: CIFAR-10"][1] == own["published"].tolist()
    ((_, band),) = layers(view, "area")
    assert [(v["low"], v["high"]) for v in band] == list(
        own[["ci_low", "ci_high"]].itertuples(index=False, name=None)
    )


@pytest.mark.parametrize("name", CURVES)
def test_wide_and_narrow_show_the_same_numbers_and_so_does_the_csv(name):
    wide, narrow = views(name), views(name, "narrow")
    assert [shown(view) for view in wide] == [shown(view) for view in narrow]
    drawn = [y for view in wide for curve in shown(view).values() for y in curve[1]]
    assert set(drawn) <= set(DRAWN[name].data["value"])


@pytest.mark.parametrize("name", CURVES)
def test_a_panel_has_six_lines_at_the_most(name):
    for view in views(name):
        assert 1 <= len(shown(view)) <= drawing.MOST == 6
        named = [row["series"] for row in names(view)]
        assert set(named) == set(shown(view))


def names(view):
    """Rows of the names beside the lines."""
    (layer,) = [layer for layer in view["layer"] if layer.get("name", "").startswith("names")]
    return layer["data"]["values"]


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("form", ["wide", "narrow"])
def test_names_do_not_touch_and_stand_in_their_panel(name, form):
    font = {"wide": 11, "narrow": 10}[form]
    for view in views(name, form):
        heights = sorted(row["at"] for row in names(view))
        assert min(np.diff(heights), default=font) >= font - 1e-9
        assert heights[0] >= -font
        assert heights[-1] <= view["height"] + 1.5 * font


@pytest.mark.parametrize("name", DRAWN)
def test_figures_are_as_wide_as_their_page(name):
    drawn = svgs(name)
    assert size(drawn["wide"])[0] <= 906
    assert size(drawn["narrow"])[0] <= 350
    fonts = [float(n) for n in re.findall(r'font-size="([\d.]+)px"', "".join(drawn.values()))]
    assert min(fonts) >= 10


@pytest.mark.parametrize("name", DRAWN)
def test_text_has_the_colour_and_the_font_of_the_page(name):
    for svg in svgs(name).values():
        words = re.findall(r"<text ([^>]*)>", svg)
        assert words
        assert all('fill="currentColor"' in text for text in words)
        assert all('font-family="system-ui, sans-serif"' in text for text in words)
        assert "http" not in svg.replace("http://www.w3.org/", "")
        strokes = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg))
        assert strokes <= {"none", "currentColor", "transparent", drawing.GREY, *drawing.COLOURS}


def test_generators_are_drawn_above_their_floors_by_images_and_by_steps():
    *by_images, by_steps = views("generated_grid")
    assert [title(view).startswith(t) for view, t in zip(by_images, ("500", "2,000"), strict=True)]
    x, y = shown(by_images[0])["20 classes"]
    assert x == [40, 160]
    assert y == pytest.approx([2.5 + 2 + 2, 0.625 + 2 + 2])
    assert shown(by_images[0])["floor"][1] == [0, 0]
    x, y = shown(by_steps)["5 × 160"]
    assert (x, y) == ([500, 2000], pytest.approx([0.625 + 2 + 0.5, 0.625 + 0.5 + 0.5]))
    ((_, band), *_) = layers(by_steps, "area")
    assert [v["high"] - v["low"] for v in band] == pytest.approx([2, 2])
    assert "from 1.62 points with 5 classes of 160 images" in DRAWN["generated_grid"].alt


def test_labels_of_people_stand_among_those_that_are_wrong_by_design():
    (view,) = views("label_noise")
    assert title(view).startswith("CIFAR-10")
    curves = shown(view)
    assert curves["given by people"] == ([0.17, 0.4], [88, 80])
    assert curves["given by people: floor"] == ([0.17, 0.4], [90, 90])
    assert curves["drawn once, as people err"] == ([0.4], [83])
    assert curves["uniform, drawn once"] == ([0.4], [85])
    uniform = SOURCES["label_noise"]()[0]
    uniform = uniform[uniform["dataset"] == "cifar10"]
    assert curves["uniform, drawn anew"][0] == pytest.approx(list(uniform["error_rate"]))
    assert "given by people, CIFAR-10: 80.00 % with 40 % errors" in DRAWN["label_noise"].alt


def test_colours_have_contrast_on_white_and_on_a_dark_page():
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    for colour in {*drawing.COLOURS, drawing.GREY} - {drawing.TEXT}:
        for page in ("#ffffff", "#15181c"):
            low, high = sorted((light(colour), light(page)))
            assert (high + 0.05) / (low + 0.05) >= 3


def test_no_two_looks_differ_by_colour_alone():
    looks = [drawing.look(i) for i in range(drawing.MOST)]
    assert len({(look.dash, look.shape) for look in looks}) == drawing.MOST
    assert len({look.colour for look in looks}) == drawing.MOST


# -------------------------------------------------------------------------------- how it looks


def marks(view, series):
    """The line's mark and that of the points, of a curve."""
    found = {}
    for mark, values in layers(view, "line", "point"):
        if values and "x" in values[0] and values[0]["series"] == series:
            found[mark["type"]] = mark
    return found


def test_floor_is_dashed_and_steps_and_the_papers_squares_are_hollow():
    view = views("classifier")[0]
    floor = marks(view, "floor")["line"]
    assert (floor["strokeDash"], floor["interpolate"]) == ([6, 4], "step-after")
    paper = marks(view, "paper: CIFAR-10")
    assert (paper["point"]["shape"], paper["point"]["fill"]) == ("square", "none")
    assert paper["line"]["strokeDash"] == [2, 3]
    ours = marks(view, "ours")
    assert (ours["line"].get("strokeDash"), ours["point"]["fill"]) == (None, drawing.BLUE)


def test_a_single_training_has_no_interval_and_a_lonely_one_is_a_bar():
    rows = each(["glyphs"], metric="accuracy")
    for row in rows[1:4]:
        row |= {"n_seeds": 1, "interval": "wilson_items"}
    (view,) = FIGURES["classifier"]([tables.tidy(rows)]).wide["concat"]
    assert not layers(view, "area")
    bars = [values for _, values in layers(view, "rule") if "low" in values[0]]
    assert [v["x"] for v in bars[0]] == [0, 0.5]
    cells = {v["x"]: v["cell"] for _, values in layers(view, "circle") for v in values}
    assert "one training" in cells[0.1 / 1.1]["95 % interval"]
    assert "t-interval over trainings" in cells[0.5]["95 % interval"]


def test_numbers_of_a_weak_model_are_hollow_and_named_so():
    rows = each(["glyphs", "digits"], metric="accuracy")
    rows = [r | {"competence": "at chance" if r["dataset"] == "digits" else None} for r in rows]
    strong, weak = FIGURES["classifier"]([tables.tidy(rows)]).wide["concat"]
    assert marks(strong, "ours")["point"]["fill"] == drawing.BLUE
    assert marks(weak, "ours (model too weak)")["point"]["fill"] == "none"
    told = layers(weak, "circle")[0][1][0]["cell"]
    assert told["model too weak"] == "at chance"


def test_a_cell_says_all_of_itself_and_positive_is_worse():
    rows = [cell(metric="accuracy", ours=70.0, ci_low=68, ci_high=72, floor=90.0, published=61.5)]
    rows.append(cell(metric="accuracy", noise_ratio=0, ours=90.0, floor=90.0))
    (view,) = FIGURES["classifier"]([tables.tidy(rows)]).wide["concat"]
    (told,) = [v["cell"] for v in layers(view, "circle")[0][1] if v["x"] == 0.5]
    assert told == {
        "title": "glyphs",
        "error rate": "50 %",
        "accuracy": "70.00 % [68.00, 72.00]",
        "95 % interval": "t-interval over trainings (seeds)",
        "noise floor": "90.00 %",
        "loss above the floor": "+20.00 [+18.00, +22.00] points",
        "paper: CIFAR-10": "61.50 %",
        "trainings": "5",
    }


PRINTED = {"share": 0.55, "k": 1, "clean_loss": 2.9, "noise_loss": 2.8, "rise": 0.1}


@pytest.mark.parametrize("name", [*CURVES, "languages"])
@pytest.mark.parametrize("form", ["wide", "narrow"])
def test_every_panel_has_something_to_point_at(name, form):
    figure = languages_figure(PRINTED) if name == "languages" else DRAWN[name]
    spec = getattr(figure, form)
    for view in spec["concat"]:
        (tip,) = [layer for layer in view["layer"] if "tooltip" in layer["encoding"]]
        told = {(v["x"], v["y"]) for v in tip["data"]["values"]}
        drawn = {point for x, y in shown(view).values() for point in zip(x, y, strict=True)}
        fields = tip["encoding"]["tooltip"]
        if isinstance(fields, list):  # no cells: all that is drawn
            assert told >= drawn
            assert all(f["field"] in v for f in fields for v in tip["data"]["values"])
        else:
            assert told <= drawn


def test_a_point_without_a_cell_says_what_the_axes_do():
    (view,) = views("information_loss")
    (tip,) = [layer for layer in view["layer"] if "tooltip" in layer["encoding"]]
    titles = {field["field"]: field["title"] for field in tip["encoding"]["tooltip"]}
    measure = "relative information loss H(y|x) / H(y)"
    assert titles == {"series": "title", "at": "error rate", "value": measure}
    row = [v for v in tip["data"]["values"] if v["x"] == 0.9][-1]
    assert (row["at"], row["value"]) == ("90 %", "1")
    assert row["series"] == "n = 10: all lost at 90 % (maximum)"
    (_, rise, _) = views("learning")
    (tip,) = [layer for layer in rise["layer"] if "tooltip" in layer["encoding"]]
    rows = {v["series"]: v for v in tip["data"]["values"]}
    assert rows["clean run"]["interval"] == "none"
    end = next(v for v in layers(rise, "area")[0][1][::-1] if v["series"] == "α = 5 %")
    assert rows["α = 5 %"]["interval"] == f"[{end['low']:.4g}, {end['high']:.4g}]".replace("-", "−")


def strings(content):
    """All texts in a specification."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        return [text for part in content for text in strings(part)]
    return [content] if isinstance(content, str) else []


def test_numbers_below_zero_have_a_minus_sign():
    below = {"ours": -3.5, "ci_low": -4.5, "ci_high": -2.5, "floor": -0.5, "published": -1.5}
    gaps = each(["glyphs"], metric="accuracy")
    own = [row | below for row in losses(["digits"], "diffusion")]
    projection, growth = gradients()
    growth = growth.assign(cosine_corrupt=-0.001, snr=-0.5)
    drawn = [
        FIGURES["classifier"]([tables.tidy([row | below for row in gaps])]),
        FIGURES["spectrum"]([tables.tidy(own), tables.tidy(own)]),
        FIGURES["gradients"]([projection, growth]),
        *DRAWN.values(),
    ]
    for figure in drawn:
        texts = strings([figure.alt, figure.wide, figure.narrow])
        assert not [text for text in texts if re.search(r"(?<![\w)\]])-\d", text)]
    for figure in drawn[:3]:
        assert "−" in figure.alt
        assert [text for text in strings(figure.wide) if re.search("−[0-9]", text)]


# ---------------------------------------------------------------------------- figure by figure


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


# ------------------------------------------------------------------------------------- files


def test_the_same_figure_gives_the_same_files(tmp_path):
    for folder in ("a", "b"):  # what is drawn in between leaves no trace
        for name, forms in {"batch": FORMS, "information_loss": (".svg",)}.items():
            save(DRAWN[name], [tmp_path / folder / f"{name}{form}" for form in forms])
    for first in (tmp_path / "a").iterdir():
        assert first.read_bytes() == (tmp_path / "b" / first.name).read_bytes()
    with Image.open(tmp_path / "a" / "batch.png") as png:
        assert png.getpixel((0, 0)) == (255, 255, 255)
        assert png.width > 1500


def test_files_hold_the_sentence_the_data_and_both_specifications(tmp_path):
    figure = DRAWN["rulers"]
    save(figure, [tmp_path / f"f{form}" for form in FORMS])
    content = json.loads(
        (tmp_path / "f.json").read_text(encoding="utf-8"), parse_constant=pytest.fail
    )
    assert content == {"alt": figure.alt, "wide": figure.wide, "narrow": figure.narrow}
    data = pd.read_csv(tmp_path / "f.csv")
    assert data["value"].tolist() == figure.data["value"].tolist()
    assert list(data)[:6] == ["panel", "measure", "series", "kind", "error rate", "value"]
    for form in ("", "_narrow"):
        svg = (tmp_path / f"f{form}.svg").read_text(encoding="utf-8")
        assert svg.startswith(f'<svg role="img" aria-label="{figure.alt}"')


def test_ids_of_several_figures_on_a_page_differ(tmp_path):
    found = []
    for name, form in (
        ("gradients", "wide"),
        ("gradients", "narrow"),
        ("information_loss", "wide"),
    ):
        svg = saving.svg(getattr(DRAWN[name], form), "", f"{name}-{form}")
        ids = re.findall(r'\bid="([^"]+)"', svg)
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= set(ids)
        found += ids
    assert len(found) == len(set(found)) > 0


def test_names_are_spread_as_little_as_needed():
    assert labels.spread([10, 50], [12, 12], 0, 100) == [10, 50]
    assert labels.spread([50, 50, 50], [12, 12, 12], 0, 100) == [38, 50, 62]
    assert labels.spread([95, 90], [12, 12], 0, 100) == [94, 82]
    rng = np.random.default_rng(1)
    wanted, heights = rng.uniform(0, 200, 6).tolist(), rng.uniform(8, 30, 6).tolist()
    places = labels.spread(wanted, heights, 0, 200)
    order = np.argsort(places)
    assert order.tolist() == np.argsort(wanted).tolist()
    tall = np.array(heights)[order]
    assert (np.diff(np.array(places)[order]) >= (tall[1:] + tall[:-1]) / 2 - 1e-9).all()


def test_lines_break_at_blanks_where_they_are_too_long():
    assert labels.lines("one two three", 60, 11) == ["one two", "three"]
    assert labels.lines("unbreakable", 5, 11) == ["unbreakable"]
    assert labels.width("wide", 11, bold=True) > labels.width("wide", 11) > 0


# ------------------------------------------------------------------------------ in a browser

PAGE = "<html><body><div id='figure'></div><script>{}</script></body></html>"
EMBED = """spec => vegaEmbed('#figure', spec, {renderer: 'svg', actions: false}).then(() => 0)"""


@pytest.fixture(scope="module")
def page():
    """A page of Chromium with Vega, without a network."""
    sync = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium here")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        opened = browser.new_page(viewport={"width": 950, "height": 900})
        opened.set_default_timeout(30_000)
        opened.said = []
        opened.on("console", lambda message: opened.said.append(message.text))
        opened.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.on("request", lambda request: opened.said.append(request.url))
        script = vl_convert.javascript_bundle(vl_version=VERSION)
        opened.set_content(PAGE.format(script.replace("</script", "<\\/script")))
        yield opened
        browser.close()


def test_specifications_are_drawn_in_a_browser_without_a_word(page):
    for figure in DRAWN.values():
        for spec in (figure.wide, figure.narrow):
            page.evaluate(EMBED, spec)
            assert float(page.get_attribute("#figure svg", "width")) <= 910
    assert page.said == []


def test_a_click_on_a_name_hides_its_curve_and_pointing_shows_the_cell(page):
    page.evaluate(EMBED, DRAWN["language_model"].wide)
    dashed = page.locator("#figure path[stroke-dasharray='6,4']")
    assert dashed.first.get_attribute("opacity") in (None, "1")
    page.locator("#figure text", has_text=re.compile("^floor$")).first.click()
    page.wait_for_function(
        "document.querySelector(\"path[stroke-dasharray='6,4']\").getAttribute('opacity') === '0'"
    )
    page.locator("#figure path[opacity='0.001']").nth(2).hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")
    told = page.inner_text("#vg-tooltip-element")
    assert all(words in told for words in ("23.08 %", "loss above the floor"))
    page.evaluate(EMBED, DRAWN["information_loss"].wide)
    page.locator("#figure path[opacity='0.001']").last.hover(force=True)
    page.wait_for_function(
        "document.querySelector('#vg-tooltip-element').innerText.includes('n = 50,257')"
    )
    told = page.inner_text("#vg-tooltip-element")
    assert all(words in told for words in ("error rate", "100 %", "H(y|x) / H(y)"))
    assert page.said == []


# ------------------------------------------------------------------------ stretches of noise


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
