"""Cost of a plan: sums, chains and sizes against closed forms."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn

from cost_samples import by_name, estimate, graph_of, job, named
from noiselab import families
from noiselab.errors import NoiselabError
from noiselab.families.language_model import cost as language_model
from noiselab.families.work import Data
from noiselab.planning import config, cost, estimates, flops
from noiselab.planning.estimates import job_costs


def test_the_load_on_a_cluster_is_what_the_jobs_write_and_ask_for():
    """Counted by hand: three runs of one experiment, each run.json, training and scores."""
    asked = {"family": "classifier", "datasets": ["digits"], "corruption": "uniform_label"}
    asked |= {"resample": "fixed", "budget": "fixed_clean", "protocol": "text"}
    asked |= {"noise_ratios": [0, 0.5, 1.0], "seeds": [0]}
    made = estimate(experiments={"mine": asked}, only=["mine"])
    jobs = job_costs(made)
    row = cost.load_row(made.graph, jobs, ["collect/mine"])
    assert row == {
        "jobs": 1 + 3 * 3 + 1,  # data, stages of runs, metrics
        "submitted": 1 + 3,
        "short": 1 + 3,
        # Outputs, records but of run.json; logs and benchmarks.
        "files": (6 + 1) + 3 * (1 + (4 + 1) + (1 + 1)) + (1 + 1) + 2 * 11,
        "notes": (6 + 1) + 3 * (1 + (4 + 1) + (1 + 1)) + (1 + 1),
    }
    slow = {name: replace(job, seconds=cost.SHORT) for name, job in jobs.items()}
    assert cost.load_row(made.graph, slow, ["collect/mine"])["short"] == 0
    assert "11 jobs; a cluster gets 4 of them, and 100 % of these" in cost.load_line(row)
    assert cost.load_line(dict.fromkeys(row, 0))  # nothing is left to do


@pytest.mark.parametrize("study", config.studies({"studies": "all"}))
def test_the_plan_of_every_study_has_a_cost(study):
    made = estimate(studies=[study])
    assert set(job_costs(made)) == set(made.graph.jobs)


# ------------------------------------------------------------------------------------ sums


def test_what_artefacts_share_counts_once_in_the_total():
    jobs = by_name(
        job("train/clean", seconds=3600, gpus=2, steps=10, examples=100, bytes=5),
        job("train/noisy", seconds=7200, gpus=2, steps=20, examples=200, bytes=5),
        job("tables/a", ["train/clean"], 0),
        job("tables/b", ["train/clean", "train/noisy"], 0),
    )
    rows = cost.rows(["tables/a", "tables/b"], lambda goals: cost.planned_row(jobs, goals))
    assert [row["artefact"] for row in rows] == ["a", "b", "total"]
    assert [row["gpu_hours"] for row in rows] == [2, 6, 6]
    assert [row["trainings"] for row in rows] == [1, 2, 2]
    assert [row["steps"] for row in rows] == [10, 30, 30]
    assert [row["bytes"] for row in rows] == [5, 10, 10]
    assert all(row["core_hours"] == 0 for row in rows)


def test_every_artefact_and_every_experiment_has_a_row_and_is_in_the_total():
    made = estimate()
    jobs, goals = job_costs(made), cost.goals(made)
    names = [
        row["artefact"] for row in cost.rows(goals, lambda goals: cost.planned_row(jobs, goals))
    ]
    assert len(names) == len(set(names))
    assert set(made.graph.artefacts) <= set(names)
    assert {"gradient_projection", "figure3", "figure4", "audit_batch", "information_loss"} <= set(
        names
    )
    order = [names.index(n) for n in ("table2", "table10", "figure1", "gradients", "audit_batch")]
    assert order == sorted(order)
    reached = cost.closure(jobs, goals)
    for kind, known in (("train", made.graph.plan.runs), ("collect", made.graph.plan.experiments)):
        assert {f"{kind}/{name}" for name in known} <= reached


def test_figure_4_costs_what_its_gradients_do():
    made = estimate("paper", only=["table7"])
    jobs, options = job_costs(made), made.graph.artefacts["gradient_projection"].options
    # Protocols tokens and sequences: three units of each sequence, each worth four passes; as many
    # sequences as the largest batches of Table 4 have.
    assert options["protocols"] == ["tokens", "sequences"]
    whole = options["batches"] * max(options["batch_sizes"])
    sequences = whole // options["picture_batch_size"] * options["picture_batch_size"]
    device = made.config["cost"]["gpu"]
    speed = device["efficiency"]["gradients"] * device["flops"]["language_model"]
    start = made.config["cost"]["start_seconds"]["cold"]
    analysis = jobs["analysis/gradient_projection"]
    assert analysis.seconds == pytest.approx(start + 3 * 4 * sequences * 1e6 / speed)
    assert analysis.gpus == made.config["resources"]["measure_gradients"]["gpu"]
    assert analysis.name in jobs["figures/figure4"].needs
    runs = [need for need in analysis.needs if need.startswith("run_config/")]
    assert len(runs) == 1
    assert {"prepare/openwebtext", *runs} == set(analysis.needs)


def test_a_picture_has_two_batches_at_least():
    options = {"batches": 1, "batch_sizes": [2, 4], "picture_batch_size": 8}
    options |= {"protocols": ["sequences"]}
    assert language_model.projection_passes(options) == 4 * 2 * 8


def test_every_stage_with_resources_has_its_work_and_every_measurement_its_passes():
    asked = {stage.rule for stage in families.stages() if not stage.local}
    for rule in asked:
        assert callable(estimates.stage_work(rule))
    with pytest.raises(NoiselabError, match="evaluate_classifier"):
        estimates.stage_work("evaluate_classifier")
    graph = estimate().graph
    analyses = [a for a in graph.artefacts.values() if a.kind == "analysis"]
    costly = {a.entry["builder"] for a in analyses if graph.jobs[a.job].resources}
    assert costly == set(language_model.ANALYSES)  # lengths of sources take a moment


def longest_of_all_paths(jobs, goal):
    """By brute force: seconds of each path that ends at `goal`."""
    paths = [[goal]]
    sums = []
    while paths:
        path = paths.pop()
        sums.append(sum(jobs[name].seconds for name in path))
        paths += [[*path, need] for need in jobs[path[-1]].needs]
    return max(sums)


def test_the_chain_is_the_longest_of_all_paths():
    rng = random.Random(0)
    names = [f"job/{i}" for i in range(9)]
    for _ in range(20):
        jobs = by_name(
            *(
                job(name, rng.sample(names[:i], rng.randint(0, i)), rng.random())
                for i, name in enumerate(names)
            )
        )
        expected = longest_of_all_paths(jobs, names[-1])
        assert cost.chain_seconds(jobs, names[-1:]) == pytest.approx(expected)


def test_the_chain_of_diffusion_goes_through_training_sampling_and_measuring():
    jobs = job_costs(estimate())
    run = "diffusion/digits/uniform_label-r1.00-fixed_clean-s0"
    chain = [f"{stage}/{run}" for stage in ("run_config", "train", "sample", "measure", "evaluate")]
    chain += ["collect/table1", "tables/table1"]
    assert all(first in jobs[then].needs for first, then in pairwise(chain))
    jobs = {name: replace(j, seconds=float(name in chain)) for name, j in jobs.items()}
    assert cost.chain_seconds(jobs, ["tables/table1"]) == len(chain)


def test_a_student_waits_for_its_teachers_targets():
    jobs = job_costs(estimate())
    student = next(n for n in jobs if n.startswith("train/seq2seq/code2doc/teacher-r1.00"))
    assert "decode/seq2seq/code2doc/teacher-s100" in jobs[student].needs
    needed = cost.closure(jobs, [student])
    assert "train/seq2seq/code2doc/teacher-s100" in needed


def test_planned_hours_grow_with_the_steps():
    def hours(steps):
        made = job_costs(estimate(language_model={"steps": steps, "evaluations": 0}))
        start = estimate().config["cost"]["start_seconds"]["warm"]
        clean = named(made, "train/language_model/docstrings/clean-s0")
        return made[clean].steps, made[clean].seconds - start

    (steps, seconds), (more_steps, more_seconds) = hours(100), hours(300)
    assert (steps, more_steps) == (100, 300)
    assert more_seconds == pytest.approx(3 * seconds)
    # 100 steps of 8 sequences, three forward passes each, at the assumed speed of a core.
    speed = estimate().config["cost"]["cpu"]["flops"]["language_model"]
    assert seconds == pytest.approx(100 * 8 * 3 * 1e6 / speed)


def on_gpus(gpus, step_seconds=0):
    free = {"start_seconds": {"cold": 0}, "gpu": {"step_seconds": step_seconds}}
    asked = {"train_classifier": {"gpu": gpus}}
    return job_costs(estimate(resources=asked, cost=free))["train/classifier/digits/clean-s0"]


def test_gpus_share_the_work_but_not_the_hours():
    name = "train/classifier/digits/clean-s0"
    two, single = on_gpus(2), on_gpus(1)
    assert single.seconds == pytest.approx(2 * two.seconds)
    rows = [cost.planned_row({name: j}, [name]) for j in (two, single)]
    assert rows[0]["gpu_hours"] == pytest.approx(rows[1]["gpu_hours"])


def test_a_step_of_a_small_network_takes_the_least_time_that_steps_take():
    job, free = on_gpus(1, step_seconds=10), on_gpus(1)
    assert 10 * job.steps < job.seconds < 10 * job.steps + free.seconds


def test_checkpoints_hold_weights_optimiser_and_average():
    adam = {"optimizer": {"name": "adam"}, "ema_decay": 0.999}
    assert estimates.checkpoint_bytes(adam, 10) == 3 * 4 * (4 * 10)
    sgd = {"optimizer": {"name": "sgd"}, "ema_decay": None, "snapshot_step": 5}
    assert estimates.checkpoint_bytes(sgd, 10) == 3 * 2 * (4 * 10) + 4 * 10


def test_a_cost_is_the_same_to_the_last_digit_in_any_order():
    """The names of the jobs of a plan are a set, whose order differs between processes."""
    jobs = [job(f"job{i}", seconds=random.Random(i).random()) for i in range(50)]
    orders = [random.Random(seed).sample(jobs, len(jobs)) for seed in range(20)]
    assert len({cost.hours(order, "core_hours") for order in orders}) == 1
    assert len({sum(j.seconds for j in order) for order in orders}) > 1  # what a sum gives


# ------------------------------------------------------------------------------------ FLOPs


def test_flops_of_a_linear_map_and_a_convolution_are_those_counted_by_hand():
    with torch.device("meta"):
        linear = nn.Linear(20, 30)
        convolution = nn.Conv2d(3, 8, 5, stride=2, padding=2)
        rows, images = torch.empty(7, 20), torch.empty(2, 3, 16, 16)
    assert flops.count(linear, (rows,), {}) == 2 * 7 * 20 * 30
    assert flops.count(convolution, (images,), {}) == 2 * 2 * (8 * 8) * 8 * (3 * 5 * 5)


@pytest.fixture(scope="module")
def paper():
    """Sizes of the paper's networks by family."""
    plan = graph_of("paper").plan
    names = {
        "classifier": "classifier/cifar10/clean-s0",
        "vision_transformer": "vision_transformer/imagenet1000/clean-s0",
        "diffusion": "diffusion/cifar10/clean-s0",
        "language_model": "language_model/openwebtext/clean-s0",
    }
    images = {name: spec.get("size") for name, spec in plan.datasets.items()}
    return {
        family: flops.network(plan.runs[run], Data(1, 1, 1, 1, image=images[run.split("/")[1]]))
        for family, run in names.items()
    }


# He et al. 2016 with the CIFAR stem; timm; the paper's Appendix H.2; Radford et al. 2019 (the
# vocabulary is padded by 47 rows). FLOPs: twice the multiplications, 0.56 G, 17.6 G, as published.
KNOWN = {
    "classifier": (11_173_962, 2 * 0.56e9),
    "vision_transformer": (86_567_656, 2 * 17.6e9),
    "diffusion": (15.7e6, None),
    "language_model": (124_439_808 + 47 * 768, None),
}


@pytest.mark.parametrize("family", KNOWN)
def test_the_papers_networks_have_their_known_size(paper, family):
    parameters, forward = KNOWN[family]
    assert paper[family].parameters == pytest.approx(parameters, rel=1e-3)
    assert forward is None or paper[family].forward == pytest.approx(forward, rel=0.02)


def test_a_gpt2_token_takes_six_flops_per_parameter_and_attention(paper):
    size, context = paper["language_model"], 1024
    per_token = cost.STEP * size.forward / context
    layers, width = 12, 768
    assert per_token == pytest.approx(6 * size.parameters + 12 * layers * width * context, rel=0.03)


def test_the_papers_language_models_take_about_2000_hours_of_an_h100(paper):
    changes = {"only": ["figure1_runs", "table7"]}
    made = estimate("paper", **changes)
    made = replace(made, networks=dict.fromkeys(made.networks, paper["language_model"]))
    hours = cost.hours(
        (j for n, j in job_costs(made).items() if n.startswith("train/")), "gpu_hours"
    )
    tokens = 600_000 * 491_520 * (1 + 1.1 + 1.3 + 1.5 + 2.0 + 4)  # clean runs are shared
    expected = tokens * 0.857e9 / 4e14 / 3600
    assert hours == pytest.approx(expected, rel=0.02)
    assert 1500 < hours < 2500


def test_bytes_are_the_same_where_flops_are_not_counted(tmp_path):
    graph = graph_of("smoke", tmp_path, only=["table2", "table9"])
    made = [flops.estimated(graph, timed) for timed in (True, False)]
    found = [cost.bytes_to_come(job_costs(e), graph.jobs, 2) for e in made]
    assert found[0] == found[1] > 0
    times = [cost.chain_seconds(job_costs(e), graph.jobs) for e in made]
    assert times[0] > times[1]


def test_pairs_are_counted_with_their_lengths_and_decoding_with_the_longest():
    run = graph_of("smoke").plan.runs["seq2seq/code2doc/clean-s0"]
    short, long = (
        flops.network(run, Data(1, 1, 4, target)) for target in (3, run["target_length"])
    )
    assert short.forward < short.longest == long.forward == long.longest
    half = flops.network(run | {"source_share": 0.5}, Data(1, 1, 8, 3))
    assert half == short
