"""Figures show what the tables say, on any page, the same on any machine."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from figure_samples import (
    CURVES,
    DRAWN,
    FORMS,
    PRINTED,
    SOURCES,
    cell,
    each,
    gradients,
    layers,
    losses,
    marks,
    shown,
    size,
    svgs,
    title,
    views,
)
from noiselab.answers import tables
from noiselab.answers.figures import (
    FIGURES,
    drawing,
    labels,
    languages_figure,
    save,
    saving,
)


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


# -------------------------------------------------------------------------------- files


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
