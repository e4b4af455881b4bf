"""Jobs and plans whose cost is known, for the tests."""

from noiselab.families.work import Network
from noiselab.planning import config, project, sizes
from noiselab.planning.estimates import Estimate, JobCost


def job(name, needs=(), seconds=1.0, **more):
    return JobCost(name, tuple(needs), seconds, more.pop("gpus", 0), more.pop("threads", 1), **more)


def by_name(*jobs):
    return {job.name: job for job in jobs}


def graph_of(tier, results=None, **changes):
    """The jobs of a tier with these settings."""
    return project.plan(config.load(changes, tier=tier), str(results or f"results/{tier}")).graph


def estimate(tier="smoke", **changes):
    """Of networks of 1,000 parameters and a million FLOPs, and data that are not there."""
    graph = graph_of(tier, **changes)
    missing, assumed = config.ROOT / "no such folder", graph.config["cost"]["data"]
    data = {n: sizes.data_size(spec, missing, assumed) for n, spec in graph.plan.datasets.items()}
    networks = {name: Network(1000, 1e6, 2e6) for name in graph.plan.runs}
    return Estimate(graph, data, networks, {})


def named(names, start):
    """The one name that begins like this; settings of one's own add something at the end."""
    (name,) = (name for name in names if name.startswith(start))
    return name
