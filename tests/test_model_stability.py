"""What of trained models' outputs survives noise: known functions, and models of every family."""

from importlib import import_module
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

import measure_model_stability as script
from noiselab.answers.analysis_tables import model_stability_table, ranked
from noiselab.answers.figures import FIGURES
from noiselab.data import prepared
from noiselab.families.diffusion import task as diffusion
from noiselab.families.noisy_outputs import MEASURED, ImagesOfClasses, Measured, measured
from noiselab.measures.stability.estimates import surviving_share
from noiselab.planning import choices, config, runs
from noiselab.run import Run
from noiselab.training.input_noise import Images, Tokens
from noiselab.training.weights import load_weights

torch.set_num_threads(1)
CPU = torch.device("cpu")


def one_hot(function, classes):
    return lambda tokens: torch.nn.functional.one_hot(function(tokens), classes).float()


@pytest.mark.parametrize("rho", [0.3, 0.9])
@pytest.mark.parametrize(
    ("letters", "length", "function", "degree"),
    [
        (7, 2, lambda x: x.sum(1) % 7, 2),  # nothing survives unless both are kept
        (2, 5, lambda x: x[:, 1:4].sum(1) % 2, 3),
        (5, 3, lambda x: x[:, 2], 1),
    ],
)
def test_of_a_rule_its_degree_says_what_survives(letters, length, function, degree, rho):
    """In all inputs, many times: rho to the number of tokens that the rule needs."""
    inputs = torch.tensor(list(product(range(letters), repeat=length))).repeat(400, 1)
    noise, outputs = Tokens(letters, length), one_hot(function, letters)
    rng = np.random.default_rng(0)
    noisy = noise.noisy(inputs, {"keep": rho}, lambda n: rng.random((len(inputs), n)))
    found = surviving_share(outputs(inputs), outputs(noisy))
    assert found.ci_low - 0.01 <= rho**degree <= found.ci_high + 0.01
    assert found.value == pytest.approx(rho**degree, abs=0.03)


def test_what_is_always_said_does_not_count():
    """Unlike Stab: a constant beside it changes nothing."""
    first, second = torch.randn(2, 500, 3, generator=torch.Generator().manual_seed(0))
    second = first + 0.5 * second
    share = surviving_share(first, second)
    for changed in (second + 9, second - 2):
        assert surviving_share(first + 9, changed).value == pytest.approx(share.value, abs=1e-4)
    assert surviving_share(first, first).value == pytest.approx(1)
    assert surviving_share(first, torch.full_like(first, 9.0)).value == pytest.approx(0)


def influences(weights):
    """Shares of positions in a model that adds up tokens with these weights."""
    inputs = torch.randint(0, 5, (3000, len(weights)), generator=torch.Generator().manual_seed(0))
    model = Measured(lambda x: (x * weights).sum(1, True).double(), inputs, Tokens(5, len(weights)))
    return script.influence_shares(model)


def test_influence_is_shared_as_the_squares_of_weights():
    weights = torch.tensor([0.0, 3.0, 1.0, 2.0])
    shares = influences(weights)
    assert shares == pytest.approx(np.array([9, 4, 1, 0]) / 14, abs=0.03)
    assert script.half(shares) == 1
    assert script.half(influences(torch.ones(6))) in (3, 4)  # half of equal ones, but for chance
    assert script.half(np.full(4, 0.25)) == 2
    assert script.half(np.array([0.4, 0.3, 0.3])) == 2


def smoke_runs(smoke, family):
    folder = Path(smoke.folder)
    files = sorted((folder / "results/smoke/runs" / family).rglob("run.json"))
    return [file for file in files if (file.parent / "weights.safetensors").exists()]


KINDS = {"classifier": Images, "vision_transformer": Images, "diffusion": ImagesOfClasses}


@pytest.mark.parametrize("family", [name for name in MEASURED if name != "algorithmic"])
def test_models_of_every_family_can_be_measured(smoke, family, monkeypatch):
    monkeypatch.chdir(smoke.folder)
    file = smoke_runs(smoke, family)[0]
    run = Run.read(file)
    model = measured(run, file.with_name("weights.safetensors"), 20, CPU)
    assert 1 < len(model.inputs) <= 20
    with torch.no_grad():
        usual = script.outputs(model, model.inputs)
        again = model.outputs(model.inputs[:2])
    if family != "diffusion":  # whose outputs are images; a vocabulary is padded
        assert usual.sum(1).numpy() == pytest.approx(np.ones(len(usual)), abs=0.2)
    torch.testing.assert_close(again, usual[:2], atol=1e-5, rtol=1e-4)
    rng = np.random.default_rng(0)

    def draw(size):
        return rng.random((len(model.inputs), size))

    settings = {"rho": 0.5, "keep": 0.5}
    noisy = model.noise.noisy(model.inputs, settings, draw)
    assert noisy.shape == model.inputs.shape
    kind = KINDS.get(family, Tokens)
    assert isinstance(model.noise, kind)
    differ = (noisy != model.inputs).double().mean()
    assert differ > {Images: 0.9, ImagesOfClasses: 0.4, Tokens: 0.3}[kind]
    with torch.no_grad():
        assert not torch.equal(script.outputs(model, noisy), usual)


@pytest.mark.parametrize(
    ("family", "noise"),
    [
        ("classifier", {"stability": {"strength": 0.5, "rho": 0.9}}),
        ("classifier", {"input_noise": {"rho": 0.9}}),
        ("language_model", {"stability": {"strength": 0.5, "keep": 0.9}}),
        ("language_model", {"sensitivity": {"strength": 0.5}}),
        ("language_model", {"input_noise": {"keep": 0.9}}),
    ],
)
def test_families_train_with_noise_in_their_inputs(smoke, family, noise, monkeypatch):
    monkeypatch.chdir(smoke.folder)
    plain = Run.read(smoke_runs(smoke, family)[0])
    run = plain | noise
    task = import_module(f"noiselab.families.{family}.task").task(run, CPU)
    data = task.batch(0, 6)
    usual = import_module(f"noiselab.families.{family}.task").task(plain, CPU).batch(0, 6)
    pairs = () if "input_noise" in noise else (2,)
    assert data.inputs.shape == (6, *pairs, *usual.inputs.shape[1:])
    assert torch.equal(data.targets, usual.targets)
    loss = task.loss(task.model, data)
    loss.backward()
    assert loss.isfinite()
    gradients = [p.grad for p in task.model.parameters() if p.grad is not None]
    assert sum(g.abs().sum() for g in gradients) > 0


def test_a_seq2seq_model_reads_the_words_that_noise_changes(smoke, monkeypatch):
    """Its inputs are numbers of words beside the number of the pair, which noise leaves alone."""
    monkeypatch.chdir(smoke.folder)
    file = smoke_runs(smoke, "seq2seq")[0]
    model = measured(Run.read(file), file.with_name("weights.safetensors"), 20, CPU)
    assert model.inputs[:, -1].tolist() == list(range(len(model.inputs)))
    assert model.inputs.min() >= 0
    assert model.noise.noised == model.inputs.shape[1] - 1
    shares = script.influence_shares(model)
    assert shares.sum() == pytest.approx(1)


def test_a_diffusion_model_denoises_images_of_the_class_that_noise_leaves_alone(smoke, monkeypatch):
    """What is measured is what the denoiser says of the same noisy images and their classes."""
    monkeypatch.chdir(smoke.folder)
    file = smoke_runs(smoke, "diffusion")[0]
    run = Run.read(file)
    model = measured(run, file.with_name("weights.safetensors"), 12, CPU)
    noisy = model.noise.noisy(model.inputs, {"rho": 0.0}, lambda n: np.full((12, n), 0.5))
    assert torch.equal(noisy[:, -1], model.inputs[:, -1])
    # Of no correlation and the noise 0, all that is left is the mean.
    assert float(noisy[:, :-1].var()) == pytest.approx(0, abs=1e-9)
    assert float(noisy[:, :-1].mean() - model.inputs[:, :-1].mean()) == pytest.approx(0, abs=1e-5)
    _, _, test = prepared.read_run(run)
    network = load_weights(file.with_name("weights.safetensors"), diffusion.build(run), CPU).eval()
    condition = diffusion.condition(torch.from_numpy(test.y[:12].copy()), run)
    sigma = torch.full((12,), float(np.exp(-1.2)))  # the median of EDM's levels
    with torch.no_grad():
        expected = network(model.inputs[:, :-1], sigma, condition).flatten(1)
        torch.testing.assert_close(model.outputs(model.inputs), expected, atol=1e-5, rtol=1e-4)


def scripted(smoke, monkeypatch, out, families):
    """What the script writes of the first run of each family."""
    monkeypatch.chdir(smoke.folder)
    files = [smoke_runs(smoke, family)[0] for family in families]
    weights = [file.with_name("weights.safetensors") for file in files]
    argv = ["x", "--runs", *files, "--weights", *weights]
    argv += ["--files", *(f.with_name("metrics.json") for f in files)]
    argv += ["--correlations", "0.5", "0.9", "--inputs", "15", "--out", out]
    monkeypatch.setattr("sys.argv", list(map(str, argv)))
    script.main()
    return pd.read_csv(out)


def test_the_script_measures_and_says_what_noise_costs(smoke, monkeypatch, tmp_path):
    families = ("classifier", "language_model")
    table = scripted(smoke, monkeypatch, tmp_path / "out.csv", families)
    assert table.groupby("family").size().to_dict() == dict.fromkeys(families, 2)
    assert table["half_positions"].isna().tolist() == (table["family"] == "classifier").tolist()
    assert table["share"].between(-1, 1.001).all()


def test_models_of_images_alone_have_no_positions(smoke, monkeypatch, tmp_path):
    table = model_stability_table(
        scripted(smoke, monkeypatch, tmp_path / "out.csv", ["classifier"])
    )
    assert set(table["metric"]) == {"surviving_share"}


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"accuracy": {"value": 80.0, "floor": 85.0, "unit": "%"}}, ("points", 5.0)),
        ({"nll": {"value": 3.5, "floor": 3.25, "unit": "nats/token"}}, ("nats/token", 0.25)),
        (
            {
                "judge_accuracy": {"value": 1.0, "floor": 2.0, "unit": "%"},
                "accuracy": {"value": 1.0, "floor": 2.0, "unit": "%"},
                "consistency": {"value": 40.0, "floor": 47.0, "unit": "%"},
            },
            ("points", 7.0),
        ),
        ({"accuracy": {"value": 80.0, "floor": None, "unit": "%"}}, ("points", None)),
    ],
)
def test_what_noise_costs_is_more_where_it_is_worse(metrics, expected):
    found = script.above_floor(metrics)
    assert (found["unit"], found["excess"]) == expected


def rows():
    """Two data sets, clean and noisy, two seeds."""
    own = {"family": "classifier", "stands_in_for": None, "budget": "none", "protocol": "text"}
    own |= {
        "recipe": None,
        "unit": "points",
        "half_positions": None,
        "error_rate": 0.5,
        "noise_ratio": 1.0,
    }
    found = [
        own
        | {
            "dataset": data,
            "corruption": kind,
            "seed": seed,
            "rho": rho,
            "run_id": f"{data}-{kind}-s{seed}",
        }
        | {"share": share - 0.1 * (rho == 0.5) + 0.01 * seed, "excess": excess}
        for data, kind, share, excess in (
            ("digits", "none", 0.9, 0.0),
            ("digits", "uniform_label", 0.8, 4.0),
            ("glyphs", "none", 0.7, 0.0),
            ("glyphs", "uniform_label", 0.5, 9.0),
            ("glyphs", "shift_label", 0.4, 12.0),
        )
        for seed in (0, 1)
        for rho in (0.5, 0.9)
    ]
    return pd.DataFrame(found)


@pytest.mark.parametrize("points", [3, 5, 7])
def test_the_rank_correlation_is_of_all_orders(points):
    """Counted one by one."""
    rng = np.random.default_rng(points)
    found = pd.DataFrame({"clean": rng.random(points), "excess": rng.random(points)})
    seen = spearmanr(found["clean"], found["excess"]).statistic
    orders = [spearmanr(o, found["excess"]).statistic for o in permutations(found["clean"])]
    sides = [np.mean(side) for side in (np.array(orders) <= seen + 1e-9, orders >= seen - 1e-9)]
    assert ranked(found) == pytest.approx((seen, min(1, 2 * min(sides))))


def test_what_survives_and_what_noise_costs_go_together_or_not():
    table = model_stability_table(rows())
    value, p = table[table["family"] == "all"]["ours"]
    assert value == pytest.approx(-np.sqrt(3) / 2)  # of ranks 2, 1, 1 (tied) and 1, 2, 3
    assert p == pytest.approx(2 / 3)  # two of six orders, on either side
    few = model_stability_table(rows().query("corruption != 'shift_label'"))
    assert (few["family"] != "all").all()


def test_rows_of_trainings_of_two_lengths_say_which():
    both = [rows().query("dataset == 'digits'").assign(budget=b) for b in ("none", "fixed_total")]
    noisy = [both[0].query("corruption == 'none'"), both[1].query("corruption != 'none'")]
    longer = noisy[1].assign(budget="fixed_clean", run_id="longer-" + noisy[1]["run_id"])
    assert model_stability_table(pd.concat([*noisy, longer]))["row"].unique().tolist() == [
        "classifier, digits, clean",
        "classifier, digits, uniform, fixed training length",
        "classifier, digits, uniform, training × (1 + r)",
    ]


def test_the_table_has_a_row_per_data_set_and_noise():
    table = model_stability_table(rows())
    survive = table[table["panel"] == "share that survives at a correlation of 0.9"]
    assert survive["row"].tolist() == [
        "classifier, digits, clean",
        "classifier, digits, uniform",
        "classifier, glyphs, clean",
        "classifier, glyphs, uniform",
        "classifier, glyphs, shift",
    ]
    assert survive["ours"].tolist() == pytest.approx([0.905, 0.805, 0.705, 0.505, 0.405])
    costs = table[table["metric"] == "excess"]
    assert costs["ours"].tolist() == [4.0, 9.0, 12.0]


def test_the_figure_says_how_both_go_together():
    alt = FIGURES["model_stability"]([rows()]).alt
    assert "−0.87 over 3 kinds" in alt


def test_a_figure_of_nothing_says_what_is_missing():
    clean = rows().query("corruption == 'none'")
    alt = FIGURES["model_stability"]([clean]).alt
    assert "Only models of right targets are there (classifiers on digits, classifiers on" in alt
    assert "glyphs)" in alt
    unknown = rows().assign(excess=None).query("dataset == 'digits'")
    assert FIGURES["model_stability"]([unknown]).alt == (
        "No noise floor is known of any: classifiers on digits."
    )


def test_the_table_says_how_few_positions_a_model_hangs_on():
    measured = rows().assign(half_positions=2, positions=9, first_share=0.375)
    table = model_stability_table(measured).set_index("metric")["ours"]
    for metric, value in (("half_positions", 2), ("positions", 9), ("first_share", 0.375)):
        assert set(table[metric]) == {value}


def test_runs_are_chosen_whose_inputs_can_be_noisy():
    plan = runs.plan(config.load({"studies": ["noise_stability"]}, tier="smoke"), "r")
    chosen = choices.noisy_inputs(plan, list(plan.runs))
    assert len(chosen) == len(set(chosen)) > 2
    assert set(choices.NOISY_INPUTS) == set(MEASURED)


def test_rows_are_named_by_what_is_special_about_a_training():
    plain = rows().query("corruption == 'none' and dataset == 'digits'")
    stable = plain.assign(run_id=plain["run_id"] + "-x1", recipe="stability (keep 0.5)")
    others = plain.assign(run_id=plain["run_id"] + "-x2")
    names = model_stability_table(pd.concat([plain, stable, others]))["row"].unique()
    assert set(names) == {
        "classifier, digits, clean",
        "classifier, digits, clean x2",
        "classifier, digits, clean, stability (keep 0.5)",
    }


def test_a_recipe_is_told_in_words():
    plan = runs.plan(config.load({"studies": ["noise_stability"]}, tier="smoke"), "r")
    told = {name: script.recipe(plan.runs[found[0]]) for name, found in plan.experiments.items()}
    assert told["addition"] == ""
    assert told["addition_stable"] == "stability (strength 0.75, keep 0.625)"
