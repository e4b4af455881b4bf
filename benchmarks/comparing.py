"""Side-by-side timings: measured in turns, kept as JSON lines, set as one table."""

import importlib.util
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))
from noiselab.files import write_text
from noiselab.planning.provenance import describe
from noiselab.training import precision

THREADS = 1  # more wait for each other whenever the machine is shared
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Benchmark:
    """A function that measures one or more lines of the table; `name` is for `--only`."""

    name: str
    area: str
    rounds: int
    on_device: bool  # or on the CPU, whatever the machine has
    in_bf16: bool  # its lines say what bf16 brings: left as they are where a machine has none
    measure: Callable[["Bench"], None]

    def possible(self, device: torch.device) -> bool:
        """Whether a machine with this device can measure the lines."""
        where = device if self.on_device else CPU
        return not self.in_bf16 or precision.resolved("auto", where) == "bf16"


BENCHMARKS: dict[str, Benchmark] = {}  # in the order of the table


def benchmark(
    area: str, name: str, *, rounds: int = 9, on_device: bool = True, in_bf16: bool = False
):
    """Register the decorated function."""

    def register(measure: Callable[["Bench"], None]):
        if name in BENCHMARKS:
            raise ValueError(f"two benchmarks are called {name}")
        BENCHMARKS[name] = Benchmark(name, area, rounds, on_device, in_bf16, measure)
        return measure

    return register


class Bench:
    """What a benchmark works with, and where its lines go.

    folder: temporary; data: of real photos, or None; keep: takes each finished record.
    """

    def __init__(self, of: Benchmark, device: torch.device, rounds: int | None, **others):
        self.of, self.device = of, device if of.on_device else CPU
        self.rounds = rounds or of.rounds
        self.folder: Path = others["folder"]
        self.data: Path | None = others["data"]
        self.settings: list[str] = others["settings"]  # of the tier that `quick` runs
        self.keep: Callable[[dict], None] = others["keep"]
        self.provenance = provenance(self.device)

    def compare(self, what: str, reference: str, ours, theirs, **options) -> None:
        """Time two functions without arguments in turns, after one call of each that is not
        counted: `check` gets what these return.

        loops: calls of each per round; amount: of `unit` per call, or a function of what ours
        returns; other options: those of `add`.
        """
        loops, check = options.pop("loops", (1, 1)), options.pop("check", None)
        first = [function() for function in (ours, theirs)]
        if check:
            check(*first)
        if callable(options.get("amount")):
            options["amount"] = options["amount"](first[0])
        times = ([], [])
        for _ in range(self.rounds):
            for function, count, found in zip((ours, theirs), loops, times, strict=True):
                found.append(seconds(function, self.device, count))
        self.add(what, reference, *times, **options)

    def add(
        self,
        what: str,
        reference: str,
        ours: list[float],
        theirs: list[float],
        *,
        unit: str = "s",
        amount: float = 1,
        note: Callable[[float, float], str] | str = "",
        reason: str = "",
    ) -> None:
        """Keep a line. ours, theirs: what each round took, in seconds or GiB.

        unit: s, GiB, or what there is an `amount` of, shown per second; note: a remark, or a
        function of both medians; reason: why ours is the slower one, if it is.
        """
        if callable(note):
            note = note(statistics.median(ours), statistics.median(theirs))
        record = {"name": self.of.name, "area": self.of.area, "what": what, "reference": reference}
        record |= {"on": self.device.type, "unit": unit, "amount": amount}
        record |= {"ours": ours, "theirs": theirs, "note": note, "reason": reason}
        self.keep(record | {"provenance": self.provenance})


def peer(package: str) -> bool:
    """Whether a package of peers.txt is there to be compared with."""
    found = importlib.util.find_spec(package) is not None
    if not found:
        print(f"without {package}, which is not installed (benchmarks/peers.txt)")
    return found


def seconds(function: Callable, device: torch.device = CPU, count: int = 1) -> float:
    """What one of `count` calls takes."""
    wait(device)
    start = time.perf_counter()
    for _ in range(count):
        function()
    wait(device)
    return (time.perf_counter() - start) / count


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def provenance(device: torch.device) -> dict[str, str | int]:
    """Revision, versions, hardware, threads and date of what is measured now."""
    facts = describe(device) | {"cores": os.cpu_count(), "threads": THREADS}
    facts["system"] = f"{platform.system()} {platform.machine()}"
    return facts | {"date": datetime.now(UTC).date().isoformat()}


# ---------------------------------------------------------------------------------- the records


def read(path: Path) -> list[dict]:
    """Records of a file of JSON lines; none where there is no file."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def write(path: Path, records: Iterable[dict]) -> None:
    """All records, whole or not at all."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))


def replaced(records: list[dict], new: dict) -> list[dict]:
    """The records with a new one in place of an earlier one of the same line."""
    return [record for record in records if key(record) != key(new)] + [new]


def key(record: dict) -> tuple[str, ...]:
    """What makes a line of the table."""
    return tuple(record[field] for field in ("name", "on", "what", "reference"))


# ------------------------------------------------------------------------------------ the table

COLUMNS = ["area", "what", "reference", "ours", "reference takes", "ratio (smallest to largest)"]
HOW_TO_READ = """\
A line sets ours against a named reference on the same work. Ratio: time (or memory) of the
reference over ours, so above 1 ours needs less; what is below 1 is explained at the end. Both
sides are measured in turns, in the same process where that can be; the ratio is taken in each
round, and the median, the smallest and the largest over the rounds are given, and the medians of
both sides themselves. The first call of each side is not counted. Both sides do the same work:
where they have results, these are compared first. Data are random, of the shapes that tier
`quick` has, unless a line says otherwise. The numbers of each round are in
[results/benchmarks.jsonl](results/benchmarks.jsonl); `python benchmarks/bench.py --only NAME`
measures some lines anew and keeps the others.
"""


def document(records: list[dict], order: Iterable[str] = ()) -> str:
    """Markdown with one table. order: names of benchmarks, in whose order lines appear."""
    ranks = {name: rank for rank, name in enumerate(order)}
    records = sorted(records, key=lambda record: ranks.get(record["name"], len(ranks)))
    places = list(dict.fromkeys(map(place, records)))
    several = len(places) > 1
    columns = [*COLUMNS, "rounds", *["measured"] * several]
    rows = [cells(record) + [letter(places.index(place(record)))] * several for record in records]
    lines = ["# Benchmarks", "", "Written by `make bench`.", "", HOW_TO_READ]
    lines += [row(columns), "|---|---|---|---:|---:|---:|---:|" + "---|" * several, *map(row, rows)]
    lines += [""]
    for number, where in enumerate(places):
        dates = sorted({r["provenance"]["date"] for r in records if place(r) == where})
        when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        prefix = f"- {letter(number)}: " if several else "Measured: "
        lines.append(f"{prefix}{', '.join(f'{k} {v}' for k, v in where)}; {when}.")
    lines += [""]
    lines += section("Remarks", [r for r in records if r["note"]], "note")
    slower = [r for r in records if statistics.median(ratios(r)) < 1]
    lines += section("Where ours is slower", slower, "reason")
    return "\n".join(lines)


def section(title: str, records: list[dict], key: str) -> list[str]:
    """What is said of lines, once for all of which it is said; nothing where there are none. key:
    of a record, which has the text."""
    groups: dict[str, list[dict]] = {}
    for record in records:
        groups.setdefault(record[key], []).append(record)
    lines = [f"## {title}", ""] if groups else []
    for text, own in groups.items():
        lines += [text or "No reason is known.", "", *map(remark, own), ""]
    return lines


def remark(record: dict) -> str:
    """A line of the table as an item of a list."""
    always = "in every round" if max(ratios(record)) < 1 else "not in every round"
    slower = f", below 1 {always}" if statistics.median(ratios(record)) < 1 else ""
    what = f"*{record['area']}, {record['what']}* ({record['reference']})"
    return f"- {what}: {spread(ratios(record))}{slower}"


def place(record: dict) -> tuple[tuple[str, str | int], ...]:
    """Provenance but for the date."""
    return tuple((k, v) for k, v in record["provenance"].items() if k != "date")


def ratios(record: dict) -> list[float]:
    """Reference over ours, round by round."""
    return [b / a for a, b in zip(record["ours"], record["theirs"], strict=True)]


def cells(record: dict) -> list[str]:
    """A record as a row of the table."""
    found = ratios(record)
    sides = [shown(statistics.median(record[side]), record) for side in ("ours", "theirs")]
    texts = [record["area"], record["what"], record["reference"], *sides]
    return [*texts, spread(found), str(len(found))]


def spread(values: list[float]) -> str:
    """Median with smallest and largest."""
    middle, low, high = map(figures, (statistics.median(values), min(values), max(values)))
    return f"{middle} ({low} to {high})"


def figures(value: float) -> str:
    """Three significant figures or more, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def shown(value: float, record: dict) -> str:
    """Seconds in a fitting unit, GiB, or the rate."""
    if record["unit"] == "GiB":
        return f"{figures(value)} GiB"
    if record["unit"] != "s":
        return f"{figures(record['amount'] / value)} {record['unit']}/s"
    scale, unit = next(
        (s, u) for s, u in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if value * s >= 1 or s == 1e6
    )
    return f"{figures(value * scale)} {unit}"


def letter(number: int) -> str:
    return chr(ord("a") + number)


def row(texts: Iterable[str]) -> str:
    return "| " + " | ".join(texts) + " |"
