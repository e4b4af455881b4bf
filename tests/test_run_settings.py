"""Settings of a run's noise and network: a matrix of wrong labels, a model; and what is refused."""

from dataclasses import replace

import pytest

from noiselab.errors import NoiselabError
from noiselab.families import FAMILIES
from noiselab.families.descriptor import COUNT, Model
from noiselab.files import write_json
from noiselab.noise.matrix import read_matrix
from noiselab.planning import config, project
from run_samples import plan

# ------------------------------------------------------------------- wrong labels from a file


NEXT = [[float(z == (y + 1) % 10) for z in range(10)] for y in range(10)]


def matrix_file(folder, rows=NEXT, name="wrong.csv"):
    """The path of a csv file of these rows."""
    (folder / name).write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return str(folder / name)


def matrix_plan(path, tier="paper", **experiment):
    change = {"corruption": "label_matrix", "datasets": ["cifar10"], "wrong_labels": path}
    return plan({"experiments": {"table2": change | experiment}}, tier=tier)


def noisy(result):
    return [r for r in result.experiments["table2"] if "/clean-" not in r]


def test_a_matrix_is_named_by_its_content_in_ids_and_run_json(tmp_path):
    path = matrix_file(tmp_path)
    result = matrix_plan(path)
    run = result.runs[noisy(result)[-1]]
    assert set(run["wrong_labels"]) == {"path", "sha256"}
    assert run["wrong_labels"]["path"] == path
    sha = run["wrong_labels"]["sha256"]
    assert run["run_id"] == f"classifier/cifar10/label_matrix-{sha[:6]}-r1.00-fixed_clean-s0"
    assert run["parents"]["clean"] == "classifier/cifar10/clean-s0"
    assert (
        result.runs[run["parents"]["clean"]] == plan().runs[run["parents"]["clean"]]
    )  # shared with Table 2


def test_another_matrix_makes_other_runs_and_touches_none_else(tmp_path):
    before = matrix_plan(matrix_file(tmp_path))
    backwards = matrix_plan(matrix_file(tmp_path, [row[::-1] for row in NEXT[::-1]]))
    assert not set(noisy(before)) & set(noisy(backwards))
    for run in set(before.runs) - set(noisy(before)):
        assert before.runs[run] == backwards.runs[run]


def test_vision_transformers_take_a_matrix_too(tmp_path):
    change = {
        "family": "vision_transformer",
        "training": {"steps": 10, "schedule": {"warmup_epochs": 0}},
    }
    run = noisy(matrix_plan(matrix_file(tmp_path), **change))[0]
    assert run.startswith("vision_transformer/cifar10/label_matrix-")


def test_a_matrix_may_be_written_by_a_spreadsheet(tmp_path):
    path = matrix_file(tmp_path)
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        file.write("\r\n".join(lines) + "\r\n\r\n")
    assert read_matrix(path)[0] == NEXT


def changed(row, column, value):
    rows = [list(r) for r in NEXT]
    rows[row][column] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (NEXT[:9], "has 9 rows of 10 columns, but 10 classes need as many of both"),
        ([*NEXT[:9], NEXT[9][:9]], "has 10 rows of 9 or 10 columns"),
        ([], "is empty"),
        (changed(3, 0, -0.5), "has -0.5 in the row of class 3: no probability"),
        (changed(3, 0, float("nan")), "has nan in the row of class 3: no probability"),
        (changed(2, 2, 0.5), "lets class 2 stay what it is: the diagonal must be 0"),
        (
            changed(4, 0, 2e-6),
            "has 1.000002, not 1, as the sum of the row of class 4; rounded? Divide each row",
        ),
        (changed(4, 0, 0.5), "has 1.5, not 1, as the sum of the row of class 4 (data set"),
        (
            changed(0, 5, "x"),
            "line 1: not numbers with commas between them ('0.0,1.0,0.0,0.0,0.0,x",
        ),
    ],
)
def test_bad_matrices_are_refused_in_one_line(tmp_path, rows, message):
    path = matrix_file(tmp_path, rows)
    with pytest.raises(NoiselabError) as error:
        matrix_plan(path)
    assert str(error.value).startswith(f"config key experiments.table2.wrong_labels: {path}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_rows_may_miss_1_by_rounding(tmp_path):
    assert noisy(matrix_plan(matrix_file(tmp_path, changed(4, 0, 9e-7))))


def test_a_missing_matrix_is_named():
    with pytest.raises(NoiselabError, match=r"table2\.wrong_labels: cannot read no\.csv \(No such"):
        matrix_plan("no.csv")


@pytest.mark.parametrize(
    "change", [{"corruption": "label_matrix"}, {"wrong_labels": "wrong.csv"}], ids=str
)
def test_matrix_and_corruption_go_together(change):
    with pytest.raises(NoiselabError, match=r"table2\.wrong_labels: .*the path of a csv file"):
        plan({"experiments": {"table2": change}})


# ----------------------------------------------------------------------------- the network


@pytest.mark.parametrize(
    ("change", "model"),
    [
        ({"width": 3}, {"name": "resnet", "width": 3, "blocks": [2, 2, 2, 2]}),
        ({"name": "resnet", "width": 3}, {"name": "resnet", "width": 3, "blocks": [2, 2, 2, 2]}),
    ],
)
def test_a_model_keeps_the_settings_that_are_not_changed(change, model):
    result = plan({"experiments": {"table2": {"training": {"model": change}}}})
    assert result.runs[result.experiments["table2"][0]]["model"] == model


@pytest.fixture
def perceptron(monkeypatch):
    """A second network of the classifiers."""
    other = Model({"width": COUNT, "layers": COUNT})
    family = FAMILIES["classifier"]
    both = replace(family, models=dict(family.models) | {"perceptron": other})
    monkeypatch.setitem(FAMILIES, "classifier", both)
    config._validator.cache_clear()
    yield
    config._validator.cache_clear()


def test_another_model_has_none_of_the_settings_of_the_one_it_replaces(perceptron):
    model = {"name": "perceptron", "width": 3, "layers": 2}
    result = plan({"experiments": {"table2": {"training": {"model": model}}}})
    assert result.runs[result.experiments["table2"][0]]["model"] == model


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (
            {"name": "perceptron", "width": 3},
            r"experiments\.table2\.training\.model\.layers: perceptron needs it",
        ),
        ({"layers": 3}, r"table2\.training\.model\.layers: no setting of resnet"),
    ],
)
def test_a_model_has_its_own_settings_and_all_of_them(perceptron, overlay, message):
    with pytest.raises(NoiselabError, match=message):
        plan({"experiments": {"table2": {"training": {"model": overlay}}}})


def test_an_optional_setting_is_in_the_run_only_where_it_is_said():
    def model(**changes):
        result = plan({"experiments": {"table7": {"training": {"model": changes}}}})
        return result.runs[result.experiments["table7"][0]]["model"]

    assert model(initial_std=0.06) == model() | {"initial_std": 0.06}
    assert "initial_std" not in model()
    with pytest.raises(NoiselabError, match=r"initial_stdd.*did you mean initial_std\?"):
        model(initial_stdd=0.06)


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"language_model": {"model": {"heads": 7}}}, r"language_model\.model\.heads: 7 heads"),
        ({"seq2seq": {"model": {"heads": 7}}}, r"seq2seq\.model\.heads: 7 heads"),
        ({"vision_transformer": {"model": {"patch": 15}}}, r"model\.patch: patches of 15 pixels"),
        (
            {"vision_transformer": {"model": {"patch": 14, "stem": "convolution"}}},
            r"model\.patch: 14 is no power of two",
        ),
        ({"diffusion": {"model": {"multipliers": [1] * 7}}}, r"model\.multipliers: a U-Net of 7"),
    ],
)
def test_impossible_networks_are_told_while_planning(overlay, message):
    with pytest.raises(NoiselabError, match=message):
        plan(overlay)


@pytest.mark.parametrize(("tokens", "mistake"), [(1024, True), (1025, False)])
def test_a_context_longer_than_the_prepared_text_is_told_while_planning(
    tmp_path, monkeypatch, tokens, mistake
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results" / "paper" / "data" / "openwebtext"
    write_json(folder / "dataset.json", {"train_tokens": 10**6, "validation_tokens": tokens})
    settings = config.load(tier="paper")
    if not mistake:
        project.plan(settings, "results/paper")
        return
    with pytest.raises(
        NoiselabError, match=r"language_model\.model\.context: 1024 tokens are more"
    ):
        project.plan(settings, "results/paper")
