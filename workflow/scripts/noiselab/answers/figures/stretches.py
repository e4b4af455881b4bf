"""Stretches of noise: learning curves, what of the noise is learned, other texts, the theory."""

import numpy as np
import pandas as pd

from noiselab.answers.figures import cells as rows
from noiselab.answers.figures.drawing import (
    FLOOR,
    GREY,
    POINTS,
    Axis,
    Curve,
    Drawing,
    Look,
    Panel,
    curve,
    look,
    solid,
)
from noiselab.answers.figures.vegalite import drawing, narrow, wide
from noiselab.answers.layouts import number_text
from noiselab.measures.statistics import NONE, over_seeds
from noiselab.noise import mixture

BEGIN = 0.1  # share of the training from which on curves are drawn: before, all fall alike
SHORT = {"uniform_text": "uniform", "gaussian_text": "Gaussian", "uniform_token": "wrong targets"}
# Prefix of columns and metrics -> text out of the domain.
OUTSIDE = {"out_of_domain_": "First text out of the domain"}
OUTSIDE |= {"second_domain_": "Second text out of the domain"}


def learning_figure(tables: list[pd.DataFrame]) -> Drawing:
    """Clean validation NLL along training by share of noise, and what it is above the clean run's
    at the same step and at as many clean tokens (Figure 2)."""
    usual = _usual(tables[0])
    above = "NLL above the clean run's"
    panels = [
        _by_share(usual, "validation_nll", "Clean text", "validation NLL (nats per token)"),
        _by_share(usual, "rise", "At the same step", f"{above} (nats per token)"),
        _by_share(usual, "rise_same_tokens", "At as many clean tokens", above),
    ]
    alt = f"At the end clean text costs more by so many nats per token: {_ends(usual, 'rise')}."
    return drawing(alt, panels, wide(3, 240, 60), narrow())


def domain_curves_figure(tables: list[pd.DataFrame]) -> Drawing:
    """The same two comparisons of texts out of the domain (Figure 4, along training)."""
    usual = _usual(tables[0])
    panels, texts = [], []
    for prefix, name in OUTSIDE.items():
        rise = f"{prefix}rise"
        if usual[rise].isna().all():
            continue
        above = "NLL above the clean run's (nats per token)"
        panels.append(_by_share(usual, rise, f"{name}, at the same step", above))
        title = f"{name}, at as many clean tokens"
        panels.append(_by_share(usual, f"{rise}_same_tokens", title, above))
        texts.append(f"{name}: {_ends(usual, rise)}.")
    alt = f"NLL above the clean run's at the end, in nats per token. {' '.join(texts)}"
    return drawing(alt, panels, wide(2), narrow())


def _by_share(usual: pd.DataFrame, column: str, title: str, measure: str) -> Panel:
    """A column of the curves along training, a line per share of noise; of what is above the clean
    run's, none of that run."""
    x, name = ("clean_tokens", "clean tokens") if "tokens" in column else ("step", "step")
    above = "rise" in column
    lines = [
        line
        for i, share in enumerate(sorted(usual["share"].unique()))
        for line in _along(usual[usual["share"] == share], x, column, _share(share), look(i))
        if share > 0 or not above
    ]
    return _panel(title, name, measure, lines, zero=above)


def _ends(usual: pd.DataFrame, column: str) -> str:
    """A rise at the end of training, by share of noise."""
    rises = usual[usual["progress"] == 1].groupby("share")[column].mean()
    texts = (f"{number_text(rise, 'nll_rise')} at {_share(s)}" for s, rise in rises.items() if s)
    return "; ".join(texts)


def learned_figure(tables: list[pd.DataFrame]) -> Drawing:
    """NLL of the noise text that is trained on, along training and by how often its tokens have
    come, and what uniform and Gaussian noise cost on clean text (Figure 3)."""
    (table,) = tables
    share = _compared_share(table)
    at = table[np.isclose(table["share"], share) & (table["budget"] == "fixed_total")]
    kinds = {
        "uniform": at[(at["corruption"] == "uniform_text") & (at["resample"] == "fixed")],
        "uniform, fresh": at[(at["corruption"] == "uniform_text") & (at["resample"] == "fresh")],
        "Gaussian": at[at["corruption"] == "gaussian_text"],
    }
    kinds = {name: own[own["given_tokens"].isna()] for name, own in kinds.items()}
    measure = "NLL of the noise text (nats per token)"
    panels = []
    for x, column, title, text in (
        ("step", "noise_nll", f"Noise, {_share(share)}", measure),
        ("step", "rise", f"Clean text, {_share(share)}", "NLL above the clean run's"),
    ):
        lines = [
            line
            for i, (name, own) in enumerate(kinds.items())
            for line in _along(own, x, column, name, look(i))
        ]
        panels.append(_panel(title, "step", text, lines, zero=column == "rise"))
    short = table[table["given_tokens"].notna()]
    if len(short):
        panels.insert(1, _repeats(short, measure))
    return drawing(_learned_alt(kinds, short), panels, wide(len(panels), 240, 78), narrow())


def _repeats(short: pd.DataFrame, measure: str) -> Panel:
    """Noise texts by how often their tokens have come."""
    lines = [
        line
        for i, (tokens, own) in enumerate(short.groupby("given_tokens"))
        for line in _along(own, "repeats", "noise_nll", f"{tokens:,.0f} tokens", look(i), begin=0)
    ]
    seen = pd.concat([line.points["x"] for line in lines])
    powers = [10.0**i for i in range(-2, 5) if seen.min() <= 10.0**i <= seen.max()]
    ticks = powers or [float(seen.min()), float(seen.max())]
    x = Axis("how often each token has come", float(seen.min()), float(seen.max()), tuple(ticks))
    x = Axis(x.title, x.low, x.high, x.ticks, "~g", logarithmic=True)
    share = short["share"].iloc[0]
    y = rows.value_axis(measure, lines, zero=True)
    return Panel(f"Short noise texts, {_share(share)}", x, y, lines, zoom=True)


def _learned_alt(kinds: dict, short: pd.DataFrame) -> str:
    ends = {n: own[own["progress"] == 1]["noise_nll"].mean() for n, own in kinds.items()}
    texts = [f"{name}: {number_text(nll, 'nll', decimals=2)}" for name, nll in ends.items()]
    for tokens, own in short[short["progress"] == 1].groupby("given_tokens"):
        nll = number_text(own["noise_nll"].mean(), "nll", decimals=2)
        texts.append(f"{tokens:,.0f} tokens, each {own['repeats'].mean():,.0f} times: {nll}")
    return f"NLL of the noise text at the end, in nats per token. {'; '.join(texts)}."


def domains_figure(tables: list[pd.DataFrame]) -> Drawing:
    """What noise costs on texts out of the domain, by share and kind (Figure 4)."""
    (table,) = tables
    panels, texts = [], []
    for prefix, title in OUTSIDE.items():
        metric = f"{prefix}nll_rise"
        part = table[(table["metric"] == metric) & (table["budget"] != "fixed_clean")]
        part = part.dropna(subset="ours")
        lines = _kinds(part)
        if not lines:
            continue
        y = rows.value_axis("NLL above the clean run's (nats per token)", lines, zero=True)
        panels.append(Panel(title, _shares(lines), y, lines))
        worst = part.loc[part["error_rate"].idxmax()]
        rise = number_text(worst["ours"], metric, "+")
        texts.append(f"{title.lower()} {rise} at {_share(worst['error_rate'])}")
    alt = f"NLL above the clean run's, in nats per token: {'; '.join(texts)}."
    return drawing(alt, panels, wide(2), narrow())


def signature_figure(tables: list[pd.DataFrame]) -> Drawing:
    """Wrong targets against stretches of noise, at equal shares of wrong tokens: what each costs on
    clean text, with its floor."""
    (table,) = tables
    part = table[table["metric"] == "nll_rise"].dropna(subset="ours")
    lines, texts = [], []
    kinds = {"uniform_token": "wrong targets", "uniform_text": "stretches of noise"}
    for i, (corruption, name) in enumerate(kinds.items()):
        own = part[part["corruption"].isin([corruption, "none"])]
        if len(own) == 0:
            continue
        dashed = Look(look(i).colour, dash=(6, 4), width=1.6)
        lines += rows.floor(own, f"{name}: floor", style=dashed)
        lines += rows.ours(own, name, solid(i))
        worst = own.loc[own["error_rate"].idxmax()]
        ours, floor = (number_text(worst[k], "nll_rise") for k in ("ours", "floor"))
        texts.append(f"{name} cost {ours} nats per token, their floor is {floor}")
    y = rows.value_axis("rise of clean-test NLL (nats per token)", lines, zero=True)
    title = "The same share of wrong tokens, in two ways"
    panel = Panel(title, _shares(lines), y, lines, zoom=True)
    alt = f"At {_share(part['error_rate'].max())}: {'; '.join(texts)}."
    return drawing(alt, [panel], wide(1, 340), narrow(height=260))


def proposition_figure(tables: list[pd.DataFrame]) -> Drawing:
    """k along training, and the gain on the mixture against ε at what was measured at the end
    (Figure 7); rings: η, the ε of the greatest gain."""
    (table,) = tables
    usual = table[table["given_tokens"].isna() & (table["budget"] == "fixed_total")]
    usual = usual[usual["resample"] == "fixed"]
    of_k, of_gain = [], []
    groups = usual[usual["share"] > 0].groupby(["corruption", "share"], sort=False)
    for i, ((corruption, share), own) in enumerate(groups):
        name = f"{SHORT[corruption]}, {_share(share)}"
        own = own[own["k"] > 0]
        of_k += _along(own, "step", "k", name, look(i), middle=np.median)
        end = own[own["progress"] == 1]
        if len(end):
            of_gain += _gain(end, share, name, look(i))
    panels = [_k_panel(of_k)] if of_k else []
    if of_gain:
        x = Axis("ε / p_c, given up of clean text", 0, 1, form=".0%")
        y = rows.value_axis("gain on the mixture (nats per token)", of_gain)
        panels.append(Panel("What learning noise would gain, by Eq. 14", x, y, of_gain, zoom=True))
    ends = usual[(usual["progress"] == 1) & (usual["k"] > 0)].groupby(["corruption", "share"])["k"]
    texts = [f"{SHORT[c]}, {_share(s)}: {k:,.0f}" for (c, s), k in ends.median().items()]
    alt = f"The factor k at the end of training. {'; '.join(texts)}."
    return drawing(alt, panels, wide(2), narrow())


def _k_panel(lines: list[Curve]) -> Panel:
    values = pd.concat([line.points["y"] for line in lines])
    low, high = float(values.min()), float(values.max())
    ticks = tuple(10.0**i for i in range(-3, 10) if low / 3 <= 10.0**i <= high * 3)
    y = Axis("k = ε / gain of p_n", low / 1.5, high * 1.5, ticks, "~g", logarithmic=True)
    steps = pd.concat([line.points["x"] for line in lines])
    return Panel("k along training", Axis("step", 0, float(steps.max())), y, lines, zoom=True)


def _gain(end: pd.DataFrame, share: float, name: str, style: Look) -> list[Curve]:
    """L(P_m, h*) - L(P_m, h) against ε, and a ring at η where that is positive."""
    p = tuple(float(end[column].median()) for column in ("p_clean", "p_noise", "k"))
    epsilon = np.linspace(0, 0.98, 99)
    gains = mixture.advantage(epsilon * p[0], share, *p)
    lines = [curve(name, epsilon, gains, Look(style.colour, style.dash), "closed form")]
    eta = mixture.eta(share, *p)
    if eta > 0:
        ring = Look(style.colour, shape="circle", hollow=True, line=False)
        at = [float(mixture.advantage(eta, share, *p))]
        lines.append(curve(name, [eta / p[0]], at, ring, "η", labelled=False))
    return lines


def languages_figure(printed: dict) -> Drawing:
    """Two languages as noise to each other: the gain on the mixture and the loss on one of them
    against ε, at the printed numbers (Figure 9); grey: η and 2 η."""
    share, k = printed["share"], printed["k"]
    p_clean, p_noise = (float(np.exp(-printed[f"{side}_loss"])) for side in ("clean", "noise"))
    eta = mixture.eta(share, p_clean, p_noise, k)
    epsilon = np.linspace(0, 3 * eta, 121)
    gain = mixture.advantage(epsilon, share, p_clean, p_noise, k)
    rise = -np.log1p(-epsilon / p_clean)
    at = np.array([eta, 2 * eta])
    ring = Look(GREY, shape="circle", hollow=True, line=False)
    panels = []
    for title, measure, y in (
        ("On both", "gain on the mixture (nats)", gain),
        ("On the first", "rise of the loss on P^c (nats)", rise),
    ):
        style = Look(look(0).colour)
        marked = np.interp(at, epsilon, y)
        lines = [curve("Eq. 14" if title == "On both" else "−log(1 − ε / p_c)", epsilon, y, style)]
        lines.append(curve("η and 2 η", at, marked, ring, "η"))
        x = Axis("ε", 0, float(epsilon[-1]))
        panels.append(Panel(title, x, rows.value_axis(measure, lines, zero=True), lines))
    ends = [number_text(float(-np.log1p(-e / p_clean)), "nll", decimals=3) for e in at]
    alt = (
        f"At α = {share:g} and k = {k:g} the loss on the first language rises by {ends[0]} nats at "
        f"η, where the mixture gains most, and by {ends[1]} at 2 η; the paper says no more than "
        f"{printed['rise']:g}."
    )
    return drawing(alt, panels, wide(2), narrow())


def tokens_figure(tables: list[pd.DataFrame]) -> Drawing:
    """How frequent each token is in the clean text and in both kinds of noise text, by its number,
    in bins; 1 is the mean over the vocabulary (Figure 8)."""
    table = _binned(tables[0][tables[0]["dataset"] == tables[0]["dataset"].iloc[0]])
    panels = []
    sources = {"clean": "Clean text", "uniform_text": "Uniform", "gaussian_text": "Gaussian"}
    sources = {column: title for column, title in sources.items() if column in table}
    for i, (column, title) in enumerate(sources.items()):
        style = Look(look(i).colour, step=True)
        times = table[column] / table[column].mean()
        lines = [curve(title, table["token"], times, style, column)]
        x = Axis("number of the token", 0, float(table["token"].max()))
        y = rows.value_axis("frequency, 1 is the mean", lines, zero=True)
        panels.append(Panel(title, x, y, lines, zoom=True))
    tops = {title: table[c].max() / table[c].mean() for c, title in sources.items()}
    texts = "; ".join(f"{title}: {top:.3g} times the mean" for title, top in tops.items())
    return drawing(f"The most frequent tokens. {texts}.", panels, wide(3, 200, 70), narrow())


BINS = 512


def _binned(table: pd.DataFrame) -> pd.DataFrame:
    """Means over neighbouring tokens, so many at the most."""
    size = -(-len(table) // BINS)
    return table.drop(columns="dataset").groupby(table["token"] // size).mean()


# ----------------------------------------------------------------------------- parts of them


def _usual(table: pd.DataFrame) -> pd.DataFrame:
    """Curves of uniform noise text that is drawn once, at a fixed length of training, and clean
    ones."""
    text = (table["corruption"] == "uniform_text") & (table["resample"] == "fixed")
    text &= (table["budget"] == "fixed_total") & table["given_tokens"].isna()
    return table[text | (table["corruption"] == "none")]


def _compared_share(table: pd.DataFrame) -> float:
    """The share at which kinds of noise are compared: of Gaussian noise, or else the largest."""
    gaussian = table.loc[table["corruption"] == "gaussian_text", "share"]
    return float(gaussian.max() if len(gaussian) else table["share"].max())


def _share(share: float) -> str:
    return f"α = {100 * share:g} %"


def _along(
    own: pd.DataFrame, x: str, y: str, name: str, style: Look, begin: float = BEGIN, middle=np.mean
) -> list[Curve]:
    """The mean over seeds along training, with its interval; none: there is nothing to draw."""
    own = own[own["progress"] >= begin - 1e-9].dropna(subset=[x, y])
    points = []
    for _, seeds in own.groupby("step"):
        estimate = over_seeds(list(seeds[y]), NONE)
        value = float(middle(seeds[y]))
        low, high = estimate[1:3] if middle is np.mean else (None, None)
        points.append({"x": float(seeds[x].mean()), "y": value, "low": low, "high": high})
        points[-1] |= {"trainings": len(seeds)}
    if not points:
        return []
    table = pd.DataFrame(points).reindex(columns=POINTS)
    table[["low", "high"]] = table[["low", "high"]].astype(float)
    return [Curve(name, table, Look(style.colour, style.dash), "ours")]


def _panel(title: str, x: str, measure: str, lines: list[Curve], zero: bool) -> Panel:
    end = max((float(line.points["x"].max()) for line in lines), default=1.0)
    axis = Axis(x, 0, end, form="~s" if end > 10_000 else None)
    if zero and lines:
        ends = [0.0, end]
        lines = [curve("clean run", ends, [0, 0], FLOOR, "clean"), *lines]
    return Panel(title, axis, rows.value_axis(measure, lines), lines, zoom=True)


def _kinds(part: pd.DataFrame) -> list[Curve]:
    """Curves against the share: uniform noise, others as points, and the floor."""
    clean = part["corruption"] == "none"
    fixed = part["resample"] != "fresh"
    uniform = part[clean | ((part["corruption"] == "uniform_text") & fixed)]
    lines = rows.floor(uniform) + rows.ours(uniform, "uniform", look(0))
    gaussian = part[part["corruption"] == "gaussian_text"]
    lines += rows.ours(gaussian, "Gaussian", look(1, line=False))
    return lines + rows.ours(part[~fixed], "uniform, fresh", look(2, line=False))


def _shares(lines: list[Curve]) -> Axis:
    """The share of wrong tokens."""
    axis = rows.error_axis(lines)
    high = axis.high
    ticks = tuple(round(0.05 * i, 9) for i in range(int(high / 0.05 + 1e-9) + 1))
    return Axis("share of wrong tokens", axis.low, axis.high, ticks, ".0%")
