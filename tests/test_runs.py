"""From configuration to runs: Algorithm 1, sharing, and what a change touches."""

import pytest

from helpers import RATIOS
from noiselab.errors import NoiselabError
from noiselab.files import write_text
from noiselab.planning import config, project, runs
from noiselab.planning.datasets import resolve_dataset
from noiselab.planning.rates import error_rate
from run_samples import plan, whole


def test_error_rate_is_algorithm_1():
    # Appendix K with its slip mended: 9.09, 23.07, 33.33 and 50 per cent.
    assert [round(100 * error_rate(r), 2) for r in RATIOS] == [0, 9.09, 23.08, 33.33, 50]


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("multiplier", [1, 2, 12])
def test_fixed_clean_keeps_clean_exposure(ratio, multiplier):
    change = {"noise_ratios": [ratio], "batch_multiplier": {str(ratio): multiplier}}
    overlay = {"experiments": {"table2": change}}
    result = plan(overlay)
    run = result.runs[result.experiments["table2"][0]]
    training = run["training"]
    clean = training["steps"] * training["batch_size"] * (1 - run["error_rate"])
    assert training["batch_size"] == 128 * multiplier
    assert clean == pytest.approx(200 * 50000, rel=1e-3)


def test_fixed_total_keeps_all_steps():
    result = plan({"experiments": {"table2": {"budget": "fixed_total"}}})
    steps = {result.runs[r]["training"]["steps"] for r in result.experiments["table2"]}
    assert steps == {78125}  # 200 epochs of 50,000 images in batches of 128


def test_text_protocol_anneals_over_the_whole_run_and_released_does_not():
    def last(protocol):
        result = plan({"experiments": {"table2": {"protocol": protocol}}})
        return result.runs[result.experiments["table2"][4]]["training"]

    text, released = last("text"), last("released")
    assert text["schedule_steps"] == text["steps"] == 2 * 78125
    assert released["batch_size"] == 1024
    assert released["steps"] == 2 * released["schedule_steps"]


def test_clean_runs_are_shared_between_tables_with_equal_settings():
    result = plan()
    clean = [{r for r in result.experiments[t] if "/clean-" in r} for t in ("table2", "table10")]
    assert clean[0] == clean[1] != set()
    classifiers = [r for r in result.runs if r.startswith("classifier/")]
    audit = 2 + 2  # another schedule, another batch, which the clean runs do not notice
    assert len(classifiers) == 2 * 5 + 2 * 4 + 5 + audit


def test_a_changed_setting_of_table_10_touches_its_runs_only():
    before = plan()
    after = plan({"experiments": {"table10": {"training": {"epochs": 100}}}})
    for table in ("table2", "table13"):
        assert before.experiments[table] == after.experiments[table]
        for run in before.experiments[table]:
            assert before.runs[run] == after.runs[run]
    assert not set(before.experiments["table10"]) & set(after.experiments["table10"])


def test_a_changed_recipe_changes_the_content_but_not_the_ids():
    before, after = plan(), plan({"classifier": {"optimizer": {"learning_rate": 0.05}}})
    assert before.runs.keys() == after.runs.keys()
    for run, content in before.runs.items():
        assert (content != after.runs[run]) == (content["family"] == "classifier")


def test_each_id_has_one_content_over_all_tiers_and_protocols(tmp_path):
    write_text(tmp_path / "cifar10n/labels.parquet", "not read while planning")
    for tier in ("smoke", "quick", "desk", "burst", "lab", "paper"):
        settings = config.load({"data": {"root": str(tmp_path)}}, tier=tier)
        for protocol in ("text", "released"):
            for experiment in settings["experiments"].values():
                experiment["protocol"] = protocol
            assert len(runs.plan(settings, "r").runs) > 0
    a = plan({"experiments": {"table2": {"protocol": "released"}}})
    assert not set(a.experiments["table2"]) & set(plan().experiments["table2"])


def test_a_clean_run_is_shared_where_the_changes_of_an_experiment_leave_it_as_it_is():
    """A schedule of the clean length changes longer runs alone; other changes all of them."""
    for change, shared in (({"schedule": {"length": "base"}}, True), ({"epochs": 7}, False)):
        result = plan({"experiments": {"audit_schedule": {"training": change}}})
        for run in result.experiments["audit_schedule"]:
            noisy = result.runs[run]
            clean = result.runs[noisy.parents["clean"]]
            assert (clean.run_id in result.experiments["table2"]) == shared
            assert "-x" in run


def test_the_clean_run_is_planned_even_where_not_asked_for():
    result = plan({"experiments": {"table2": {"noise_ratios": [1.0]}}})
    for run in result.experiments["table2"]:
        assert result.runs[run]["parents"]["clean"] in result.runs


def test_any_number_of_glyphs_is_a_data_set():
    result = plan({"experiments": {"table2": {"datasets": ["glyphs-37"]}}})
    assert result.datasets["glyphs-37"]["train_size"] == 37 * 40


def test_both_budgets_of_language_models_share_the_clean_run():
    result = plan()
    fixed_clean, fixed_total = (set(result.experiments[e]) for e in ("figure1_runs", "table7"))
    assert fixed_clean & fixed_total == {"language_model/openwebtext/clean-s0"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table2": {"corruption": "uniform_token"}}, r"table2\.corruption.*not for a classifier"),
        ({"table7": {"datasets": ["digits"]}}, r"table7\.datasets: digits is not for"),
        ({"table9": {"resample": "fresh"}}, r"table9\.resample: a teacher's targets are made once"),
        ({"table9": {"datasets": ["docstrings"]}}, r"table9\.datasets: docstrings is not for"),
        (
            {"table2": {"batch_multiplier": {"1.0": 2}, "batch_multipliers": [1]}},
            r"table2\.batch_multipliers: not together with batch_multiplier",
        ),
        (
            {"table2": {"source_shares": [0.5]}},
            r"table2\.source_shares: not for a classifier, but a seq2seq",
        ),
        ({"table1": {"corruption": "uniform_token"}}, r"table1\.corruption.*not for a diffusion"),
    ],
)
def test_corruption_and_data_set_must_be_those_of_the_family(change, message):
    with pytest.raises(NoiselabError, match=message):
        plan({"experiments": change})


def test_analyses_need_an_experiment_with_language_models():
    change = {"analyses": {"loss_stability": {"experiment": "table2"}}}
    with pytest.raises(NoiselabError, match=r"analyses\.loss_stability\.experiment: 'table2'"):
        project.plan(config.load(change, tier="paper"), "results/paper")


def test_only_restricts_what_is_planned():
    result = plan({"only": ["table2"]})
    assert list(result.experiments) == ["table2"]
    assert {run["family"] for run in result.runs.values()} == {"classifier"}
    assert result.runs == {k: v for k, v in plan().runs.items() if k in result.runs}


def test_only_takes_what_is_built(tmp_path):
    settings = config.load({"only": "built"}, tier="quick")
    with pytest.raises(NoiselabError, match=r"config key only: nothing is built in .*/results"):
        runs.plan(settings, str(tmp_path / "results"))
    for name in ("table2", "table9", "no_such"):
        path = tmp_path / "results" / "metrics" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    planned = runs.plan(settings, str(tmp_path / "results"))
    assert list(planned.experiments) == ["table2", "table9"]


def test_only_knows_its_names():
    with pytest.raises(NoiselabError, match="config key only: no enabled experiment 'table99'"):
        plan({"only": ["table99"]})


def test_seeds_of_all_experiments_at_once():
    one, three = plan(), plan({"seeds": [0, 1, 2]})
    for name, ids in one.experiments.items():
        seeds = {three.runs[run]["seed"] for run in three.experiments[name]}
        assert seeds == {0, 1, 2}
        ratios = {one.runs[run]["noise_ratio"] for run in ids}
        assert len(three.experiments[name]) % 3 == 0
        assert {three.runs[run]["noise_ratio"] for run in three.experiments[name]} == ratios
    for run in three.runs.values():  # every run is compared with the clean run of its own seed
        assert three.runs[run["parents"]["clean"]]["seed"] == run["seed"]


def test_an_experiment_that_is_left_out_has_no_runs_and_no_analyses():
    off = {"enabled": False}
    without = ("table9", "audit_symbols", "audit_pairs")
    result = plan({"experiments": dict.fromkeys(without, off)})
    assert "table9" not in result.experiments
    assert not [run for run in result.runs if run.startswith("seq2seq")]


def test_one_teacher_stopped_early_serves_all_ratios_and_seeds_of_a_data_set():
    result = plan({"experiments": {"table9": {"datasets": ["wmt14"], "seeds": [0, 1]}}})
    noisy = [result.runs[r] for r in result.experiments["table9"] if "/teacher-r" in r]
    assert len(noisy) == 8
    assert {run["parents"]["teacher"] for run in noisy} == {"seq2seq/wmt14/teacher-s100"}
    teacher, clean = (
        result.runs[noisy[0]["parents"]["teacher"]],
        result.runs[noisy[0]["parents"]["clean"]],
    )
    assert teacher["training"]["steps"] == 5000
    assert clean["training"]["steps"] == noisy[-1]["training"]["steps"] == 50_000
    assert teacher["corruption"] == "none"
    assert teacher["seed"] not in (0, 1)
    differing = {key for key in teacher if teacher[key] != clean.get(key)}
    assert differing == {"run_id", "parents", "seed", "training", "evaluation"}


def test_shortened_sources_share_the_teacher_that_read_whole_ones():
    change = {"enabled": True, "datasets": ["code2doc"]}
    result = plan({"experiments": {"context_ablation": change}})
    runs_ = [result.runs[run] for run in result.experiments["context_ablation"]]
    assert {run["source_share"] for run in runs_} == {0.25, 0.5, 1}
    teachers = {run["parents"]["teacher"] for run in runs_ if run["noise_ratio"]}
    assert [result.runs[t]["source_share"] for t in teachers] == [1]
    for run in runs_:
        assert result.runs[run["parents"]["clean"]]["source_share"] == run["source_share"]


def test_glyphs_may_say_how_many_images_a_class_has():
    changes = {"datasets": {"glyphs-30": {"channels": 1}, "glyphs-30x7": {"size": 20}}}
    definitions = config.load(changes, tier="quick")["datasets"]
    spec = resolve_dataset(definitions, "glyphs-30x7", "key")
    assert (spec["classes"], spec["train_per_class"], spec["train_size"]) == (30, 7, 210)
    assert (spec["channels"], spec["size"], spec["test_size"]) == (1, 20, 1000)
    assert resolve_dataset(definitions, "glyphs-30", "key")["train_per_class"] == 40
    assert resolve_dataset(definitions, "glyphs-31", "key")["channels"] == 3


def test_batch_multipliers_keep_clean_exposure_and_share_the_clean_run():
    multipliers = [1, 2, 4, 8, 16, 32]
    changes = {"experiments": {"batch_ablation": {"batch_multipliers": multipliers}}}
    result = plan(changes, tier="quick")
    chosen = [result.runs[r] for r in result.experiments["batch_ablation"]]
    assert [r["batch_multiplier"] for r in chosen] == [k for k in multipliers for _ in "cn"]
    for run in chosen:
        training = run["training"]
        clean = training["steps"] * training["batch_size"] * (1 - run["error_rate"])
        assert clean == pytest.approx(300 * 64, rel=0.07)  # whole steps, of up to 2,048 images
        assert run["parents"]["clean"] == "vision_transformer/glyphs-50/clean-s0"
    assert set(result.experiments["batch_ablation"]) & set(result.experiments["table3"])


def test_a_map_of_multipliers_may_be_for_one_data_set():
    result = plan()
    ks = {r: result.runs[r]["batch_multiplier"] for r in result.experiments["table3"]}
    assert sorted(ks.values()) == [1] * 11 + [2, 2, 2, 4]
    assert ks["vision_transformer/imagenet100/uniform_label-r1.00-fixed_clean-b4-s0"] == 4


def test_a_clean_run_with_a_multiplier_has_the_ordinary_one_as_its_floor():
    result = plan({"experiments": {"table2": {"batch_multiplier": {"0": 2}}}})
    run = result.runs["classifier/cifar10/clean-b2-s0"]
    assert run["parents"]["clean"] == "classifier/cifar10/clean-s0"
    assert run["parents"]["clean"] in result.runs


def test_table_8_as_released_needs_no_run_of_its_own():
    result = plan()
    released, long = (set(result.experiments[e]) for e in ("table8_released", "table3"))
    assert released < long
    for run_id in released:
        run = result.runs[run_id]
        if run["noise_ratio"]:
            separate = run_id.replace("fixed_clean", "fixed_total")
            assert run["training"]["snapshot_step"] == result.runs[separate]["training"]["steps"]
            assert "snapshot_step" not in result.runs[separate]["training"]


def test_vision_transformers_augment_files_otherwise_than_arrays():
    files = plan().runs["vision_transformer/imagenet10/clean-s0"]["augment"]
    assert files == {"flip": True, "crop_scale": [0.08, 1.0], "randaugment": "rand-m9-n2-mstd0.5"}
    arrays = plan(tier="quick").runs["vision_transformer/glyphs-10/clean-s0"]["augment"]
    assert arrays == {"flip": False, "crop": 1}


LOCAL = {
    "table3": ("tiny_imagenet_50", "tiny_imagenet_50/"),
    "table7": ("english", "imdb/, public_domain_books/, arxiv_abstracts/, wikitext2/"),
    "table9": ("multi30k_en_de", "multi30k_en_de/"),
    "context_ablation": ("arxiv_abstracts", "arxiv_abstracts/"),
}


@pytest.mark.parametrize("experiment", LOCAL)
def test_data_that_cannot_be_downloaded_need_a_folder(experiment):
    """One line that names the key, the data set and the folders that it is made of."""
    name, folders = LOCAL[experiment]
    changes = {"enabled": True, "datasets": [name]}
    with pytest.raises(NoiselabError) as error:
        whole({"only": [experiment], "experiments": {experiment: changes}})
    assert str(error.value) == (
        f"config key data.root: must be set for data set {name}, which is not downloaded: "
        f"to the folder that holds {folders}"
    )


@pytest.mark.parametrize(
    ("tier", "downloaded"), [("desk", {"cifar10", "cifar100"}), ("lab", {"cifar10", "cifar100"})]
)
def test_tiers_on_local_data_need_a_folder_but_not_for_what_is_downloaded(tier, downloaded):
    with pytest.raises(NoiselabError, match=r"config key .*data\.root"):
        whole(tier=tier)
    assert set(whole({"only": ["table2"]}, tier=tier).datasets) == downloaded


@pytest.mark.parametrize("key", ["parts", "out_of_domain"])
def test_text_of_several_folders_is_local_even_where_a_hub_has_one_of_them(key):
    part = {"folder": "wiki", "text_column": "line"}
    change = {key: [part] if key == "parts" else part}
    with pytest.raises(NoiselabError, match=r"config key data\.root: must be set .*wiki/"):
        whole({"only": ["table7"], "datasets": {"openwebtext": change}})


def test_the_lab_tier_is_real_data_but_for_glyphs_and_has_three_seeds_of_what_is_cheap(tmp_path):
    result = plan({"data": {"root": str(tmp_path)}}, tier="lab")
    local = {name for name, _ in LOCAL.values()}
    glyphs = {name for name in result.datasets if name.startswith("glyphs-")}
    assert set(result.datasets) - glyphs == {"cifar10", "cifar100", "tiny_imagenet_10", *local}
    for name, ids in result.experiments.items():
        of_experiment = [result.runs[run] for run in ids]
        if glyphs & {run["dataset"] for run in of_experiment}:
            assert name.startswith(("scale_", "batch_ablation"))
        cheap = {"classifier", "vision_transformer", "seq2seq"}
        seeds = {0, 1, 2} if of_experiment[0]["family"] in cheap else {0}
        assert {run["seed"] for run in of_experiment} == seeds
    features = {
        run["evaluation"]["features"] for run in result.runs.values() if "judge" in run["parents"]
    }
    assert features == {"judge"}


def test_unknown_data_set_is_named():
    with pytest.raises(NoiselabError, match=r"experiments.table2.datasets.*'cifar11'"):
        plan({"experiments": {"table2": {"datasets": ["cifar11"]}}})


def test_released_pairs_and_diffusion_are_trained_as_the_authors_code_does():
    """docs/AUDIT.md, 10, 11, 16 and 17, at the paper's sizes."""
    released = {name: {"protocol": "released"} for name in ("table9", "table1")}
    settings = config.load({"experiments": released}, tier="paper")
    result = runs.plan(settings, "r")
    chosen = {name: [result.runs[r] for r in result.experiments[name]] for name in released}
    batches = {(run.dataset, run.training["batch_size"]) for run in chosen["table9"]}
    assert batches == {("wmt14", 256), ("cnn_dailymail", 128)}
    for run in chosen["table9"]:
        assert (run.training["steps"], run.training["warmup_steps"]) == (50_000, 0)
        # (256 // batch) // 8 batches of the first of 8 workers
        batch = run.training["batch_size"] // 8
        assert run.evaluation["pairs"] == (256 // batch) // 8 * batch == 32
    for run in chosen["table1"]:
        training = run.training
        assert (training["ema_decay"], training["clip_norm"]) == (0.9999, 1.0)
        optimizer = {k: training["optimizer"][k] for k in ("name", "learning_rate", "weight_decay")}
        assert optimizer == {"name": "adamw", "learning_rate": 8e-4, "weight_decay": 0.01}
        assert training["precision"] == "fp32"


def _seeds(result, name):
    """noise ratio -> seeds of an experiment's runs."""
    found = {}
    for run in (result.runs[i] for i in result.experiments[name]):
        found.setdefault(run["noise_ratio"], []).append(run["seed"])
    return found


def test_replicas_are_further_seeds_at_the_noise_ratios_that_are_named():
    more = {"0": [1, 2], "1.0": [2, 0]}
    own = {"datasets": ["digits"], "noise_ratios": [0, 0.3, 1.0], "replicas": more}
    result = plan({"experiments": {"table2": own}})
    assert _seeds(result, "table2") == {0.0: [0, 1, 2], 0.3: [0], 1.0: [0, 2]}


def test_replicas_may_be_those_of_one_data_set():
    changes = {"datasets": ["digits", "glyphs-100"], "replicas": {"digits": {"1": [1]}}}
    result = plan({"experiments": {"table2": changes | {"noise_ratios": [0, 1.0]}}})
    own = [result.runs[i] for i in result.experiments["table2"]]
    assert {(r["dataset"], r["noise_ratio"]) for r in own if r["seed"]} == {("digits", 1.0)}
    # the clean run of the same seed, which its loss is taken from, is trained for it
    assert "classifier/digits/clean-s1" in result.runs


def test_seeds_of_all_experiments_leave_replicas_out():
    changes = {"datasets": ["digits"], "noise_ratios": [0, 1.0], "replicas": {"1.0": [1]}}
    result = plan({"seeds": [3, 4], "experiments": {"table2": changes}})
    assert _seeds(result, "table2") == {0.0: [3, 4], 1.0: [3, 4]}


def test_seeds_of_all_experiments_are_those_of_probes_too():
    result = plan({"studies": ["random_noise"], "seeds": [3]}, tier="smoke")
    probes = [result.runs[run] for run in result.experiments["noise_probes"]]
    assert {tuple(run.seeds) for run in probes} == {(3,)}
    assert {run.seed for run in probes} == {3}  # of the backbone


def test_a_replica_starts_from_the_run_of_its_own_seed():
    tuned = {"init": {"experiment": "table2"}, "replicas": {"1.0": [7]}, "noise_ratios": [1.0]}
    result = plan({"experiments": {"table10": tuned, "table2": {"noise_ratios": [0]}}})
    own = {result.runs[i]["seed"]: result.runs[i] for i in result.experiments["table10"]}
    assert own[7].parents["init"] == "classifier/cifar10/clean-s7"


def test_a_teacher_has_no_seed_of_a_replica():
    with pytest.raises(NoiselabError, match=r"teacher.seed: 100 is a student's seed, too"):
        plan({"experiments": {"table9": {"replicas": {"1.0": [100]}}}})


def taught(**training):
    """Students of a teacher whose experiment changes the recipe, and the plan's runs."""
    mine = {"family": "seq2seq", "datasets": ["name2doc"], "corruption": "teacher", "seeds": [0]}
    mine |= {"resample": "fixed", "budget": "fixed_total", "noise_ratios": [0, 1.0]}
    mine |= {"protocol": "text", "training": training}
    result = whole({"experiments": {"mine": mine}}, tier="quick")
    return [result.runs[run] for run in result.experiments["mine"]], result.runs


@pytest.mark.parametrize(
    ("training", "clean", "teacher"),
    [
        ({"batch_size": 32}, "usual", "usual"),  # what the tier has
        ({"schedule": {"length": "total"}}, "usual", "usual"),
        ({"teacher": {"step": 77}}, "usual", "own"),  # which the teacher alone notices
        ({"batch_size": 16}, "own", "own"),
    ],
)
def test_a_student_names_the_teacher_that_is_planned(training, clean, teacher):
    (floor, student), planned = taught(**training)
    place = student.parents["teacher"]
    assert student.parents["clean"] == floor.run_id
    assert student.teacher_targets == f"results/quick/runs/{place}/targets"
    assert ("-x" in floor.run_id, "-x" in place) == (clean == "own", teacher == "own")
    if "teacher" in training:
        assert planned[place].training["steps"] == training["teacher"]["step"]
    if teacher == "usual":
        assert planned[place] == taught()[1]["seq2seq/name2doc/teacher-s100"]


def test_a_run_whose_parent_is_not_planned_is_named(monkeypatch):
    monkeypatch.setattr(runs, "_parents", lambda *_: ())
    with pytest.raises(NoiselabError, match=r"-s0 needs \S+/clean-s0, which is not planned"):
        plan({"experiments": {"table2": {"noise_ratios": [1.0]}}, "only": ["table2"]})
