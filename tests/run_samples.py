"""Plans of a tier with changed settings, for the tests."""

from noiselab.planning import config, project, runs


def plan(*overlays, tier="paper"):
    return runs.plan(config.load(*overlays, tier=tier), f"results/{tier}")


def whole(*overlays, tier="paper"):
    """The plan as the Snakefile has it."""
    settings = config.load(*overlays, tier=tier)
    return project.plan(settings, f"results/{tier}").graph.plan
