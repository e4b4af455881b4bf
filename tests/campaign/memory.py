"""Memory and open descriptors of the processes of a workflow, as time goes on.

    python tests/campaign/memory.py --minutes 60 --out memory

Watches what runs in a project's folder: Snakemake, trainings, the server of warm starts. Writes
memory.csv (each look) and hour.csv (the process of each kind that lived longest).
"""

import argparse
import csv
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import psutil

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "workflow" / "scripts")]

from campaign.workflow import served

SAMPLED = 2.0  # seconds between two looks
KINDS = {"train.py": "training", "snakemake": "snakemake"}  # name of the script -> kind


def sampled(process: psutil.Process) -> dict[str, float]:
    """Resident memory (MiB) and open descriptors now; empty where the process has just ended."""
    try:
        memory, descriptors = process.memory_info().rss, process.num_fds()
    except psutil.Error:
        return {}
    if not memory:
        return {}
    return {"rss_mib": round(memory / 2**20, 1), "descriptors": descriptors}


def growth(samples: list[dict]) -> dict[str, float]:
    """Most memory and open descriptors of each process that was watched, and by how much they grew
    in the second half of a process's life: in the first it imports and plans."""
    found = {}
    for name in dict.fromkeys(row["process"] for row in samples):
        own = [row for row in samples if row["process"] == name]
        lives = [[row for row in own if row["pid"] == pid] for pid in {row["pid"] for row in own}]
        for key, unit in (("rss_mib", "MiB"), ("descriptors", "descriptors")):
            found[f"{name}: {unit}, at most"] = max(row[key] for row in own)
            grown = [life[-1][key] - life[len(life) // 2][key] for life in lives]
            found[f"{name}: {unit}, growth at most"] = round(max(grown), 1)
    return found


def written(path: Path, rows: list[dict]) -> None:
    """A csv file of rows, which all have the same keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


# --------------------------------------------------------------------- of a project that runs


def processes(folder: Path) -> Iterable[tuple[str, psutil.Process]]:
    """(kind, process) of what works in a folder and is of KINDS, and of all servers of warm starts,
    which work elsewhere."""
    for process in psutil.process_iter():
        try:
            if process.cwd() != str(folder):
                continue
            words = {Path(word).name for word in process.cmdline()[:3]}
        except psutil.Error:
            continue
        if found := words & KINDS.keys():
            yield KINDS[found.pop()], process
    yield from (("server of warm starts", process) for process in served())


def watch(folder: Path, minutes: float, every: float) -> list[dict]:
    """Rows of second, process, pid, rss_mib, descriptors, a look in `every` seconds."""
    begin, rows = time.monotonic(), []
    while (second := time.monotonic() - begin) < 60 * minutes:
        seen = {process.pid: (kind, process) for kind, process in processes(folder)}
        for pid, (kind, process) in seen.items():
            if now := sampled(process):
                rows.append({"second": round(second), "process": kind, "pid": pid} | now)
        time.sleep(every)
    return rows


def trends(samples: list[dict]) -> list[dict]:
    """Of the process of each kind that lived longest: minutes, and the median of memory and the
    most descriptors in the second and in the last quarter of its life. In the first it imports."""
    lives: dict[int, list[dict]] = {}
    for row in samples:
        lives.setdefault(row["pid"], []).append(row)
    longest: dict[str, list[dict]] = {}
    for life in sorted(lives.values(), key=_seconds):
        longest[life[0]["process"]] = life
    return [_trend(name, life) for name, life in longest.items()]


def _seconds(life: list[dict]) -> int:
    return life[-1]["second"] - life[0]["second"]


def _trend(name: str, life: list[dict]) -> dict:
    row = {"process": name, "minutes": round(_seconds(life) / 60)}
    quarter = -(-len(life) // 4)
    for part, rows in (("second", life[quarter : 2 * quarter] or life), ("last", life[-quarter:])):
        row[f"mib_{part}_quarter"] = round(median(r["rss_mib"] for r in rows), 1)
        row[f"descriptors_{part}_quarter"] = max(r["descriptors"] for r in rows)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="of the project")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=float, default=10, help="seconds between two looks")
    parser.add_argument("--out", type=Path, required=True, help="folder for the csv files")
    arguments = parser.parse_args()
    rows = watch(arguments.folder.resolve(), arguments.minutes, arguments.every)
    if not rows:
        raise SystemExit(f"nothing ran in {arguments.folder}")
    written(arguments.out / "memory.csv", rows)
    written(arguments.out / "hour.csv", trends(rows))


if __name__ == "__main__":
    main()
