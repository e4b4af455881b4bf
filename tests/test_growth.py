"""A plan of many runs: what it takes grows no faster than their number. Nothing is timed."""

import cProfile
import pstats

import growth
from noiselab.planning import config, project


def plan(runs):
    """The graph of a synthetic plan, with its digests, and how many calls of functions it took."""
    profile = cProfile.Profile()
    profile.enable()
    graph = growth.planned(runs).graph
    for name in graph.jobs:
        graph.digest(name)
    profile.disable()
    return graph, pstats.Stats(profile).total_calls


def test_calls_grow_no_faster_than_the_runs():
    plan(100)  # what is read once in a process
    sizes = (200, 400, 800)
    graphs, calls = zip(*(plan(size) for size in sizes), strict=True)
    assert [len(graph.plan.runs) for graph in graphs] == list(sizes)
    small, large = calls[1] - calls[0], calls[2] - calls[1]  # without what no run needs
    assert small > 200  # or nothing was counted
    assert large < 1.2 * 2 * small


def test_parents_in_a_role_are_those_that_runs_name():
    whole = project.plan(config.load(tier="quick"), "results/quick").graph.plan
    roles = {role for run in whole.runs.values() for role in run.parents}
    assert len(roles) > 2
    for role in roles | {"nobody's"}:
        named = {run.parents[role] for run in whole.runs.values() if role in run.parents}
        assert set(whole.parents(role)) == named - {None}
        assert {run for run in whole.runs if whole.holds(run, role)} == named & set(whole.runs)


def test_a_run_is_the_mapping_that_its_content_is():
    run = next(iter(growth.planned(10).graph.plan.runs.values()))
    content = run.content()
    assert {key: run[key] for key in run} == content == {key: run.get(key) for key in run}
    assert all(key in run for key in content)
    for key in ("facts", "content", "no key"):  # attributes that run.json does not have
        assert key not in run
        assert run.get(key, 7) == 7
