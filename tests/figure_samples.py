"""Figures of tables that are made up, and what their specifications show."""

import itertools
import re
from functools import cache

import numpy as np
import pandas as pd

from noiselab.answers import tables
from noiselab.answers.figures import (
    FIGURES,
    saving,
)
from test_model_stability import rows as stability_rows

RATIOS = (0.0, 0.1, 0.3, 0.5, 1.0)
FORMS = ("_narrow.svg", ".svg", ".png", ".csv", ".json")
PRINTED = {"share": 0.55, "k": 1, "clean_loss": 2.9, "noise_loss": 2.8, "rise": 0.1}
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


def marks(view, series):
    """The line's mark and that of the points, of a curve."""
    found = {}
    for mark, values in layers(view, "line", "point"):
        if values and "x" in values[0] and values[0]["series"] == series:
            found[mark["type"]] = mark
    return found
