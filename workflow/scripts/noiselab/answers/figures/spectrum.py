"""The spectrum of robustness: all families in one figure."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from noiselab.answers.competence import WEAK
from noiselab.answers.figures import cells as rows
from noiselab.answers.figures import labels
from noiselab.answers.figures.drawing import COLOURS, GREY, TEXT, Drawing
from noiselab.answers.figures.hover import printed
from noiselab.answers.figures.vegalite import SCHEMA, Size, config, text_layer
from noiselab.answers.layouts import FAMILIES as FAMILY_NAMES
from noiselab.answers.layouts import NAMES, number_text, on_one_training, true_minus

FAMILY_COLOURS = dict(zip(FAMILY_NAMES, COLOURS, strict=False))
RATES = 4  # columns: as many error rates, the highest
WHO = {"ours": "Run here", "published": "Printed in the paper"}
STAND_INS = "Run here, small data and networks"
MEASURE = "Loss of the score, in per cent of the clean run's"
NUMBERS = "numbers: loss above the floor; –: none"
SUMS = "numbers: floor + loss above it, with {:.0f} % wrong"
KEY = {
    "floor": "noise floor: lost by a perfect learner of the wrong data",
    "above": "in colour: loss above the floor",
    "below": "pale: less lost than the floor",
    "open": "floor not known",
    "interval": "95 % interval over trainings",
}
NEAREST = 4  # per cent: what can be pointed at of the smallest bar
SPARE = 6  # pixels between columns and around texts


def spectrum_figure(tables: list[pd.DataFrame]) -> Drawing:
    """The spectrum of robustness: relative loss as the paper measures it, cut at the noise floor: a
    column per error rate, a bar per family and data set; our runs (top) and the paper's printed
    numbers (bottom)."""
    parts = [_bars(table, who) for who, table in zip(WHO, tables, strict=True)]
    bars = pd.concat(parts, ignore_index=True)
    rates = sorted(bars["error rate"].unique())[-RATES:]
    bars = bars[bars["error rate"].isin(rates)]
    own = tables[0]
    stand_ins = (own["dataset"] != own["stands_in_for"]).any()
    heads = {who: who for who in WHO.values()} | ({WHO["ours"]: STAND_INS} if stand_ins else {})
    sizes = Size(900, RATES, 0, 11, 0, 0, True), Size(350, RATES, 0, 10, 0, 0, False)
    wide, narrow = (Sheet(bars, rates, heads, size).specification() for size in sizes)
    data = bars.drop(columns=["cell", "family", "dataset"]).dropna(subset="value")
    return Drawing(true_minus(_alt(bars, rates[-1])), data, wide, narrow)


def _bars(table: pd.DataFrame, who: str) -> pd.DataFrame:
    """A row per bar: name, error rate, loss, floor, the interval of what is above it."""
    found = []
    for (family, dataset, panel), own in table.groupby(["family", "dataset", "panel"], sort=False):
        fixed = ", fixed length" if "fixed" in panel else ""
        weak = rows.is_weak(own) if who == "ours" else False
        name = f"{NAMES.get(dataset, dataset)}{fixed}" + (f" ({WEAK})" if weak else "")
        for row in own[own["error_rate"] > 0].to_dict("records"):
            found.append(_bar(row, who, family, name, weak))
    return pd.DataFrame(found)


def _bar(row: dict, who: str, family: str, name: str, weak: bool) -> dict:
    value, floor = row[who], row["floor"]
    one = who == "published" or on_one_training(row["n_seeds"], row["interval"])
    low, high = (None, None) if one else (floor + row["excess_low"], floor + row["excess_high"])
    title = f"{FAMILY_NAMES[family]}, {name}"
    cell = None
    if pd.notna(value):
        cell = rows.cell(row, title) if who == "ours" else _printed(row, title)
    return {
        "numbers": WHO[who],
        "family": family,
        "dataset": name,
        "series": title,
        "error rate": row["error_rate"],
        "value": value,
        "floor": floor,
        "above the floor": value - floor,
        "95 % interval, low": low,
        "95 % interval, high": high,
        "trainings": row["n_seeds"] if who == "ours" else None,
        "model too weak": weak,
        "cell": cell,
    }


def _printed(row: dict, title: str) -> dict[str, str]:
    """What is shown of a printed number."""
    shown = {"title": f"{title}, printed", "error rate": f"{100 * row['error_rate']:.4g} %"}
    shown["loss"] = f"{number_text(row['published'], row['metric'])} %"
    if pd.isna(row["floor"]):
        return shown | {"noise floor": "not known"}
    shown["noise floor"] = f"{number_text(row['floor'], row['metric'])} %"
    above = number_text(row["published"] - row["floor"], row["metric"], "+")
    return shown | {"loss above the floor": above + rows.points(" %")}


def _alt(bars: pd.DataFrame, rate: float) -> str:
    """The finding at the highest error rate: whose loss is mostly the floor, who loses most."""
    own = bars[(bars["numbers"] == WHO["ours"]) & (bars["error rate"] == rate)]
    own = own[~own["model too weak"]].dropna(subset=["value", "floor"])
    if len(own) == 0:
        return "No family was run at the highest error rate."
    floor, most, least = (
        own.loc[getattr(own[c], f)()]
        for c, f in (
            ("floor", "idxmax"),
            ("above the floor", "idxmax"),
            ("above the floor", "idxmin"),
        )
    )
    return (
        f"With {100 * rate:.3g} % of the targets wrong, the {_named(floor)} loses "
        f"{floor['value']:.1f} % of its score, of which the noise floor alone is "
        f"{floor['floor']:.1f}; above the floor, the {_named(most)} loses most "
        f"({most['above the floor']:.1f}), the {_named(least)} least "
        f"({least['above the floor']:.1f})."
    )


def _named(bar: pd.Series) -> str:
    return f"{FAMILY_NAMES[bar['family']]} on {bar['dataset']}"


@dataclass(frozen=True)
class Sheet:
    """Bars in rows and columns. A wide one has the names at the left, a narrow one above the bars,
    with the numbers of the highest error rate beside them."""

    bars: pd.DataFrame
    rates: list[float]
    heads: dict[str, str]  # of the two blocks
    size: Size

    @property
    def wide(self) -> bool:
        """Whether there is room for names beside the bars."""
        return self.size.zoom

    @property
    def pitch(self) -> int:
        """From row to row."""
        return 17 if self.wide else 28

    @property
    def thick(self) -> int:
        """Height of a bar."""
        return 11 if self.wide else 9

    @cached_property
    def names(self) -> tuple[float, float]:
        """Widths of the columns of families and of data sets."""
        if not self.wide:
            return 0, 0
        font = self.size.font
        families = [labels.width(FAMILY_NAMES[f], font) for f in self.bars["family"]]
        datasets = [labels.width(dataset, font) for dataset in self.bars["dataset"]]
        return max(families) + SPARE, max(datasets) + 2 * SPARE

    @cached_property
    def rows(self) -> tuple[list[dict], float]:
        """Heads and bars from top to bottom, with the height of each one's middle, and of all."""
        found, top = [], 0.0
        for who in WHO.values():
            found.append({"head": self.heads[who], "at": top + 10})
            top += 24 if self.wide else 20
            block = self.bars[self.bars["numbers"] == who]
            before = None
            for series, own in block.groupby("series", sort=False):
                family = own["family"].iloc[0]
                top += 5 if before not in (None, family) else 0
                at = top + self.pitch - self.thick / 2 - 3
                found.append({"numbers": who, "series": series, "at": at, "own": own})
                found[-1] |= {"family": family, "first": family != before}
                top, before = top + self.pitch, family
            top += 12
        return found, top

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Where the axes begin and end."""
        columns = ["value", "floor", "95 % interval, low", "95 % interval, high"]
        values = self.bars[columns].astype(float)
        low, high = min(0.0, values.min(axis=None)), max(0.0, values.max(axis=None))
        low, high = low - 0.02 * (high - low), high + 0.04 * (high - low)
        if self.wide:  # and the numbers behind the bars
            for bar in self.bars.dropna(subset="value").to_dict("records"):
                used = (4 + labels.width(_number(bar), self.size.font)) / self.column
                high = max(high, low + (_end(bar) - low) / (1 - used))
        return low, high

    @property
    def column(self) -> int:
        """Width of a column."""
        room = self.size.width - 16 - sum(self.names) - 2 * SPARE * (len(self.rates) - 1)
        return int(room / len(self.rates))

    def specification(self) -> dict:
        """All columns side by side."""
        select = {"type": "point", "fields": ["family"], "on": "click", "toggle": "true"}
        hidden = {"name": "hidden", "select": select | {"clear": False}, "views": ["families"]}
        return {
            "$schema": SCHEMA,
            "config": config(self.size),
            "params": [hidden],
            "hconcat": [self._column(i, rate) for i, rate in enumerate(self.rates)],
            "spacing": 2 * SPARE,
            "bounds": "flush",  # names stick out of the first column
        }

    def _column(self, number: int, rate: float) -> dict:
        """The bars of one error rate."""
        axis = {"title": None, "grid": self.wide, "values": self._ticks()}
        scale = {"domain": list(self.ends), "nice": False, "zero": False}
        head = {
            "at": -14,
            "text": f"{100 * rate:.0f} % wrong" if self.wide else f"{100 * rate:.0f} %",
        }
        layers = [*self._bars(rate), text_layer([head], 0, fontWeight=600)]
        return {
            "width": self.column,
            "height": self.rows[1],
            "encoding": {"x": {"type": "quantitative", "scale": scale, "axis": axis}},
            "layer": layers + (self._names() + self._key() if number == 0 else []),
        }

    def _ticks(self) -> list[int]:
        """At round numbers."""
        most = self.ends[1]
        step = 25 if most > 40 else 10 if most > 15 else 5
        return list(range(0, int(most) + 1, step))

    def _bars(self, rate: float) -> list[dict]:
        """Bars, intervals and numbers of a column."""
        values = []
        for row in self.rows[0]:
            if "own" in row:
                own = row["own"][row["own"]["error rate"] == rate].dropna(subset="value")
                values += [_placed(bar, row, self.thick) for bar in own.to_dict("records")]
        parts = {
            kind: [v for v in values if v["kind"] == kind] for kind in ("above", "below", "open")
        }
        known = [v for v in values if v["kind"] != "open"]
        solid = {"fill": {"field": "colour", "type": "nominal", "scale": None}}
        line = {"stroke": {"field": "colour", "type": "nominal", "scale": None}}
        layers = [_zero([row["at"] for row in self.rows[0] if "own" in row], self.thick)]
        layers += _rects(known, "zero", "floor", FLOOR, {})
        layers += _rects(parts["above"], "floor", "value", {}, solid)
        layers += _rects(parts["below"], "value", "floor", PALE, solid | line)
        layers += _rects(parts["open"], "zero", "value", {"fill": "none"}, line)
        layers += _spans([v for v in values if v["low"] is not None])
        layers += self._numbers(values) if self.wide else []
        return layers + _pointed(values)

    def _numbers(self, values: list[dict]) -> list[dict]:
        """What is above the floor, behind each bar; a dash where there is none."""
        there = {value["at"] for value in values}
        empty = [row["at"] for row in self.rows[0] if "own" in row and row["at"] not in there]
        values = [value | {"strength": max(value["strength"], 0.75)} for value in values]
        values += [{"end": 0, "text": "–", "at": at, "strength": 0.75} for at in empty]
        mark = {"type": "text", "aria": False, "align": "left", "baseline": "middle", "dx": 4}
        over = {"x": {"field": "end", "type": "quantitative"}, "y": {"field": "at", **PIXELS}}
        over |= {"text": {"field": "text"}, "opacity": STRENGTH}
        return [_layer(values, mark, over)]

    def _names(self) -> list[dict]:
        """Names of blocks, families and data sets."""
        left = -sum(self.names)
        rows = [row for row in self.rows[0] if "own" in row]
        heads = [{"text": row["head"], "at": row["at"]} for row in self.rows[0] if "head" in row]
        layers = [text_layer(heads, left, fontWeight=600, fontSize=self.size.font + 1)]
        if self.wide:
            families = [_name(FAMILY_NAMES[row["family"]], row) for row in rows if row["first"]]
            sets = [_name(row["own"]["dataset"].iloc[0], row) for row in rows]
            return [*layers, _clicked(families, left), text_layer(sets, -SPARE, align="right")]
        up = self.thick / 2 + 8
        names = [_name(row["series"], row, up) for row in rows]
        numbers = [_name(text, row, up) for row in rows if (text := self._sum(row))]
        end = self.size.width - 10
        return [*layers, _clicked(names, 0), text_layer(numbers, end, align="right")]

    def _sum(self, row: dict) -> str:
        """Floor and what is above it at the highest error rate, where both fit beside the name."""
        own = row["own"][row["own"]["error rate"] == self.rates[-1]].dropna(subset="value")
        if len(own) == 0:
            return ""
        bar = own.iloc[0]
        text = _number(bar)
        text = text if pd.isna(bar["floor"]) else f"{bar['floor']:.1f} {text}"
        used = labels.width(f"{row['series']}  {text}", self.size.font)
        return text if used < self.size.width - 12 else ""

    def _key(self) -> list[dict]:
        """What grey, colour and line are, above all."""
        font, step, left = self.size.font, self.size.line + 1, -sum(self.names)
        lines = self._key_lines()
        at, layers = -38.0 - step * (len(lines) - 1), []
        numbers = NUMBERS if self.wide else SUMS.format(100 * self.rates[-1])
        heads = [f"{MEASURE}; {numbers}"] if self.wide else [MEASURE, numbers]
        heads = [{"text": h, "at": at - step * i - font - 8} for i, h in enumerate(reversed(heads))]
        layers.append(text_layer(heads, left))
        for line in lines:
            x = left
            for kind in line:
                layers += _key_part(kind, x, at)
                layers.append(text_layer([{"text": KEY[kind], "at": at}], x + 20))
                x += self._key_width(kind)
            at += step
        return layers

    def _key_width(self, kind: str) -> float:
        """What an entry of the key needs, with the room behind it."""
        return 20 + labels.width(KEY[kind], self.size.font) + 14

    def _key_lines(self) -> list[list[str]]:
        """The kinds that there are, in lines: as many beside each other as fit, or one."""
        value, floor = (self.bars.dropna(subset="value")[c] for c in ("value", "floor"))
        there = {"open": floor.isna().any(), "below": (value < floor).any()}
        found, room = [], 0.0
        for kind in (kind for kind in KEY if there.get(kind, True)):
            needed = self._key_width(kind)
            if not self.wide or needed > room:
                found.append([])
                room = self.size.width
            found[-1].append(kind)
            room -= needed
        return found


def _number(bar) -> str:
    """What is above the floor, or all where it is not known."""
    known = pd.notna(bar["floor"])
    return true_minus(f"{bar['above the floor']:+.1f}" if known else f"{bar['value']:.1f} in all")


def _end(bar) -> float:
    """Where a bar ends with its interval."""
    ends = (bar[c] for c in ("value", "floor", "95 % interval, high"))
    return max(0.0, *(end for end in ends if pd.notna(end)))


def _placed(bar: dict, row: dict, thick: int) -> dict:
    """A bar as its layers need it, with its height in pixels."""
    known = pd.notna(bar["floor"])
    above = known and bar["value"] >= bar["floor"]
    low, high = bar["95 % interval, low"], bar["95 % interval, high"]
    has = pd.notna(low)
    return {
        "kind": "open" if not known else "above" if above else "below",
        "family": bar["family"],
        "colour": FAMILY_COLOURS[bar["family"]],
        "strength": 0.45 if bar["model too weak"] else 1,
        "zero": 0,
        "floor": bar["floor"] if known else None,
        "value": bar["value"],
        "low": low if has else None,
        "high": high if has else None,
        "end": _end(bar),
        "reach": max(_end(bar), NEAREST),
        "text": _number(bar),
        "top": row["at"] - thick / 2,
        "bottom": row["at"] + thick / 2,
        "at": row["at"],
        "cell": printed(bar["cell"]),
    }


FLOOR = {"fill": GREY, "fillOpacity": 0.5, "stroke": GREY, "strokeWidth": 1}
PALE = {"fillOpacity": 0.3}
PIXELS = {"type": "quantitative", "scale": None, "axis": None}
STRENGTH = {
    "condition": {"param": "hidden", "empty": False, "value": 0},
    "field": "strength",
    "type": "quantitative",
    "scale": None,
}


def _layer(values: list[dict], mark: dict, encoding: dict) -> dict:
    """A layer with what it needs of the values."""
    fields = {channel["field"] for channel in encoding.values() if "field" in channel}
    fields |= {"family"} if "opacity" in encoding else set()
    rows = [{k: v for k, v in value.items() if k in fields} for value in values]
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def _rects(values: list[dict], start: str, end: str, style: dict, colours: dict) -> list[dict]:
    if not values:
        return []
    mark = {"type": "rect", "aria": False, "strokeWidth": 1.4} | style
    over = {"x": {"field": start, "type": "quantitative"}, "x2": {"field": end}}
    over |= {"y": {"field": "top", **PIXELS}, "y2": {"field": "bottom"}, "opacity": STRENGTH}
    return [_layer(values, mark, over | colours)]


def _spans(values: list[dict]) -> list[dict]:
    """Intervals, as lines over the bars."""
    mark = {"type": "rule", "aria": False, "stroke": TEXT, "strokeWidth": 1.4}
    over = {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}}
    over |= {"y": {"field": "at", **PIXELS}, "opacity": STRENGTH}
    return [_layer(values, mark, over)] if values else []


def _pointed(values: list[dict]) -> list[dict]:
    """Bars that are not seen, from the axis to the number, for who points at a cell."""
    if not values:
        return []
    mark = {"type": "rect", "aria": False, "opacity": 0.001, "color": TEXT}
    over = {"x": {"field": "zero", "type": "quantitative"}, "x2": {"field": "reach"}}
    over |= {"y": {"field": "top", **PIXELS}, "y2": {"field": "bottom"}}
    over |= {"tooltip": {"field": "cell", "type": "nominal"}}
    return [_layer(values, mark, over)]


def _zero(heights: list[float], thick: int) -> dict:
    """The line of no loss, beside each bar."""
    values = [{"top": at - thick / 2 - 3, "bottom": at + thick / 2 + 3} for at in heights]
    mark = {"type": "rule", "aria": False, "stroke": TEXT, "strokeOpacity": 0.6}
    over = {"x": {"datum": 0}, "y": {"field": "top", **PIXELS}, "y2": {"field": "bottom"}}
    return {"data": {"values": values}, "mark": mark, "encoding": over}


def _name(text: str, row: dict, up: float = 0) -> dict:
    return {"text": text, "at": row["at"] - up, "family": row["family"]}


def _clicked(rows: list[dict], x: float) -> dict:
    """Names that hide a family."""
    layer = text_layer(rows, x, cursor="pointer") | {"name": "families"}
    faded = {"param": "hidden", "empty": False, "value": 0.4}
    layer["encoding"]["opacity"] = {"condition": faded, "value": 1}
    return layer


def _key_part(kind: str, x: float, at: float) -> list[dict]:
    """A piece of what the key explains, 14 pixels wide."""
    mark = {"type": "rect", "aria": False, "strokeWidth": 1.4}
    style = {
        "floor": FLOOR,
        "above": {"fill": COLOURS[0]},
        "below": {"fill": COLOURS[0], "stroke": COLOURS[0]} | PALE,
        "open": {"fill": "none", "stroke": COLOURS[0]},
        "interval": {"type": "rule", "stroke": TEXT},
    }[kind]
    place = {"x": {"value": x}, "x2": {"value": x + 14}, "y": {"value": at}}
    if kind != "interval":
        place |= {"y": {"value": at - 5}, "y2": {"value": at + 5}}
    return [{"data": {"values": [{}]}, "mark": mark | style, "encoding": place}]
