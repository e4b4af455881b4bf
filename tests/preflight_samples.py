"""Plans and small files for the tests of preflight."""

import pyarrow as pa
import pyarrow.parquet as pq

from noiselab.planning import config, project


def states(rows):
    return {row.check: row.state for row in rows}


def planned(tier, **changes):
    """The graph of a tier with these settings, and the names of the jobs of its targets."""
    graph = project.plan(config.load(changes, tier=tier), f"results/{tier}").graph
    return graph, sorted(graph.closure(project.GOALS))


def parquet(path, rows=2, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    names = columns or {"text": "a"}
    pq.write_table(pa.table({name: [value] * rows for name, value in names.items()}), path)


def cifar_files(folder):
    for split, rows in (("train", 4), ("test", 2)):
        parquet(folder / "cifar10" / f"{split}.parquet", rows, img={"bytes": b""}, label=0)
