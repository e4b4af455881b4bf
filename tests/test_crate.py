"""The RO-Crate and the archive of a tier, read as any other program would read them."""

import hashlib
import json
import os
import re
import shutil
import sys
import time
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from commands import run
from noiselab.answers import bundle
from noiselab.answers.crate import Crate
from noiselab.errors import NoiselabError
from noiselab.files import ROOT
from noiselab.planning import code, config, current, project

METADATA = "ro-crate-metadata.json"
FACTS = {"revision": "0123456789ab", "device": "a processor", "python": "3.11.1", "torch": "2.11.0"}
BENCHMARK = "s\th:m:s\n2.5000\t0:00:02\n"
PROFILE = "https://w3id.org/ro/wfrun/provenance/0.5"
ELSEWHERE = re.compile(r"https?://")  # entities that other sites describe
VALIDATOR = shutil.which("rocrate-validator")
PLAN = r"^train_classifier +(\d+)"  # in the table of a dry run


def planned(**changes):
    return project.plan(config.load(changes, tier="smoke"), "results/smoke")


def put(path, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def pretend(plan) -> None:
    """Write all files of a plan as if its jobs had made them, with anything in them."""
    graph = plan.graph
    jobs = [graph.jobs[name] for name in graph.closure(project.GOALS)]
    for job in jobs:
        for file in job.outputs.values():
            put(file, f"{file} of {job.name}")
        put(f"{current.folder(graph, job)}/benchmarks/{job.name}.tsv", BENCHMARK)
    for run_id in graph.plan.runs:
        put(f"results/smoke/runs/{run_id}/training.json", json.dumps(FACTS))
    put(graph.jobs["config"].outputs["out"], json.dumps(graph.config))
    for file in code.repository():
        target = Path(graph.jobs["crate"].outputs["code"], file.relative_to(ROOT))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


@pytest.fixture
def tier(tmp_path, monkeypatch):
    """The plan of tier smoke, all of whose files are there."""
    monkeypatch.chdir(tmp_path)
    plan = planned()
    pretend(plan)
    return plan


# ---------------------------------------------------------------------------- what must hold


def entities(metadata: dict) -> dict[str, dict]:
    graph = metadata["@graph"]
    found = {entity["@id"]: entity for entity in graph}
    assert len(found) == len(graph), "an id is there twice"
    return found


def types(entity: dict) -> set[str]:
    told = entity["@type"]
    return {told} if isinstance(told, str) else set(told)


def ids(entity: dict, key: str) -> list[str]:
    """The entities that a property refers to."""
    told = entity.get(key, [])
    return [part["@id"] for part in (told if isinstance(told, list) else [told])]


def references(value):
    """All ids that are referred to below a value."""
    if isinstance(value, dict):
        yield from [value["@id"]] if set(value) == {"@id"} else references([*value.values()])
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def faults(metadata: dict, root: Path) -> list[str]:
    """What of RO-Crate 1.1 and Provenance Run Crate 0.5 a crate breaks, and what of its files."""
    found = entities(metadata)
    dangling = set(references([*found.values()])) - set(found)
    wrong = [f"{i} is nowhere" for i in dangling if not ELSEWHERE.match(i) and i != METADATA]
    about, main = found[METADATA], found["./"]
    wrong += [] if ids(about, "about") == ["./"] else ["the descriptor is about something else"]
    wrong += [] if "https://w3id.org/ro/crate/1.1" in ids(about, "conformsTo") else ["no RO-Crate"]
    wrong += [] if PROFILE in ids(main, "conformsTo") else ["no Provenance Run Crate"]
    needed = {"name", "description", "datePublished", "license", "mainEntity", "author", "citation"}
    wrong += [f"the root has no {key}" for key in needed - set(main)]
    for key, entity in found.items():
        if "File" in types(entity):
            wrong += _file_faults(key, entity, root)
            wrong += [] if key in ids(main, "hasPart") else [f"{key} is no part of the root"]
    return wrong + _workflow_faults(found, ids(main, "mainEntity")[0])


def _file_faults(key: str, entity: dict, root: Path) -> list[str]:
    path = root / key
    if key.startswith(("/", "..")) or not path.is_file():
        return [f"{key} is no file of the crate"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return [] if entity.get("sha256") == digest else [f"{key} has another digest"]


def _workflow_faults(found: dict, main: str) -> list[str]:
    workflow, wrong = found[main], []
    kinds = {"File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"}
    wrong += [] if kinds == types(workflow) else ["the workflow is no workflow"]
    (language,) = ids(workflow, "programmingLanguage")
    wrong += [] if found[language].get("name") == "Snakemake" else ["no language"]
    steps, tools = ids(workflow, "step"), ids(workflow, "hasPart")
    for step in steps:
        (tool,) = ids(found[step], "workExample")
        wrong += [] if tool in tools else [f"{step} has a tool that the workflow has not"]
    actions = {i for i, e in found.items() if "CreateAction" in types(e)}
    (run_id,) = [i for i in actions if ids(found[i], "instrument") == [main]]
    told = {}
    for entity in found.values():
        if "ControlAction" in types(entity):
            (step,), (action,) = ids(entity, "instrument"), ids(entity, "object")
            told[action] = step
            same = ids(found[step], "workExample") == ids(found[action], "instrument")
            wrong += [] if step in steps and same else [f"{action} is of another step"]
    wrong += [f"{action} is of no step" for action in actions - {run_id} - set(told)]
    (engine,) = [e for e in found.values() if "OrganizeAction" in types(e)]
    wrong += [] if ids(engine, "result") == [run_id] else ["the engine made another run"]
    wrong += [] if len(ids(engine, "object")) == len(told) else ["the engine left steps out"]
    return wrong


# ------------------------------------------------------------------------------------- crate


def test_a_crate_breaks_no_rule(tier):
    metadata = Crate(tier, "results/smoke").content()
    assert faults(metadata, Path("results/smoke")) == []
    assert metadata["@context"][0] == "https://w3id.org/ro/crate/1.1/context"


def test_what_breaks_a_rule_is_seen(tier):
    metadata = Crate(tier, "results/smoke").content()
    found = entities(metadata)
    found["#job/claims"]["result"][0] = {"@id": "nowhere.json"}
    Path("results/smoke/report.html").write_text("other")
    Path("results/smoke/overview.md").unlink()
    del found["./"]["license"]
    found["#step-of/tables/audit"]["object"] = {"@id": "#job/report"}
    assert sorted(faults(metadata, Path("results/smoke"))) == [
        "#job/report is of another step",
        "#job/tables/audit is of no step",
        "nowhere.json is nowhere",
        "overview.md is no file of the crate",
        "report.html has another digest",
        "the engine left steps out",
        "the root has no license",
    ]


def test_each_job_says_what_it_read_and_wrote_and_when(tier):
    found = entities(Crate(tier, "results/smoke").content())
    told = {i.removeprefix("#job/"): e for i, e in found.items() if i.startswith("#job/")}
    graph, place = tier.graph, "results/smoke/"
    assert set(told) == graph.closure(project.GOALS)
    for name, entity in told.items():
        job = graph.jobs[name]
        assert {place + i for i in ids(entity, "object")} == set(job.files)
        assert {place + i for i in ids(entity, "result")} == set(job.outputs.values())
        start, end = (datetime.fromisoformat(entity[key]) for key in ("startTime", "endTime"))
        assert 2 <= (end - start).total_seconds() <= 3
        assert abs(end.timestamp() - time.time()) < 1000
    training = told["train/classifier/digits/clean-s0"]
    assert ids(training, "instrument") == ["code/workflow/scripts/train.py"]
    assert "0123456789ab" in training["description"]
    assert ids(told["tables/table2"], "instrument") == ["code/workflow/scripts/make_table.py"]
    assert ids(told["config"], "instrument") == ["code/rules/answers.smk"]
    first, last = (found[f"#step/{rule}"]["position"] for rule in ("run_config", "report"))
    assert int(first) < int(last)


def test_the_paper_the_licence_and_the_versions_are_told(tier):
    found = entities(Crate(tier, "results/smoke").content())
    paper = found["https://arxiv.org/abs/2512.11912"]
    assert [found[author]["name"] for author in ids(paper, "author")] == ["Peng Liu", "Yaochu Jin"]
    assert ids(found["./"], "license") == ["https://spdx.org/licenses/MIT"]
    assert {"#torch-2.11.0", "#python-3.11.1", "code/requirements.txt"} == set(
        ids(found["code/Snakefile"], "softwareRequirements")
    )


def test_settings_of_ones_own_refer_to_runs_that_lie_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = planned(name="two", seeds=[0, 1], only=["table2"])
    pretend(plan)
    root = plan.graph.places.answers
    assert root != plan.graph.places.results
    metadata = Crate(plan, root).content()
    assert faults(metadata, Path(root)) == []
    run_id = next(iter(plan.graph.plan.runs))
    told = entities(metadata)[f"#results/smoke/runs/{run_id}/training.json"]
    assert told["description"] == "not part of this crate"
    content = Path(f"results/smoke/runs/{run_id}/training.json").read_bytes()
    assert told["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_missing_file_is_named(tier):
    Path("results/smoke/tables/table2.csv").unlink()
    with pytest.raises(NoiselabError, match=r"results/smoke/tables/table2\.csv: is not there"):
        Crate(tier, "results/smoke").content()


# ----------------------------------------------------------------------------------- archive


@pytest.fixture
def unpacked(tier, tmp_path):
    """The folder of an unpacked archive."""
    mask = tier.graph.jobs["mask/classifier/digits/shift_label-r1.00-fixed_clean-s0"]
    put(mask.outputs["out"], "a mask")
    bundle.write(tier, Path("bundle.zip"))
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile("bundle.zip") as archive:
        archive.extractall(folder)
    return folder


def test_an_archive_is_a_crate_with_the_digests_of_what_it_leaves_out(unpacked):
    metadata = json.loads((unpacked / METADATA).read_text())
    assert faults(metadata, unpacked) == []
    found = entities(metadata)
    weights = Path("results/smoke/runs/classifier/digits/clean-s0/weights.safetensors")
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert found[f"#{weights}"]["sha256"] == digest
    assert ids(found["README.md"], "about") == ["./"]


def test_an_archive_has_the_answers_and_no_weights_and_no_data(unpacked):
    files = {str(f.relative_to(unpacked)) for f in unpacked.rglob("*") if f.is_file()}
    run_folder = "runs/classifier/digits/clean-s0"
    kept = {f"{run_folder}/{n}.json" for n in ("run", "training", "metrics")}
    kept |= {f"{run_folder}/history.jsonl", "tables/table2.csv", "figures/figure3.png"}
    kept |= {"report.html", "claims.json", "config.json", "code/requirements.txt", "code/Snakefile"}
    kept |= {"masks/classifier/digits/shift_label-r1.00-fixed_clean-s0.parquet"}
    assert kept <= files
    assert {Path(f).suffix for f in files} & bundle.LEFT_OUT == set()
    assert {Path(f).name for f in files if f.startswith("data/")} == {"dataset.json"}
    assert sum(f.startswith("masks/") for f in files) == 1


def test_the_digests_are_those_that_sha256sum_has(unpacked):
    check = ["sha256sum", "--check", "--quiet", bundle.SUMS]
    run(check, check=True, cwd=unpacked)
    listed = {line.split("  ")[1] for line in (unpacked / bundle.SUMS).read_text().splitlines()}
    files = {str(f.relative_to(unpacked)) for f in unpacked.rglob("*") if f.is_file()}
    assert listed == files - {bundle.SUMS}
    (unpacked / "report.html").write_text("other")
    assert run(check, cwd=unpacked).returncode != 0


def test_an_archive_made_twice_has_the_same_bytes(tier):
    bundle.write(tier, Path("one.zip"))
    for file in Path("results/smoke/tables").glob("*"):
        os.utime(file)
    bundle.write(tier, Path("two.zip"))
    assert Path("one.zip").read_bytes() == Path("two.zip").read_bytes()


def test_an_archive_can_be_repeated_as_it_says(tier, unpacked):
    """Its own commands, but for the installation of packages."""
    told = re.findall(r"^    (\S.*)$", (unpacked / "README.md").read_text(), re.MULTILINE)
    assert [line.split()[0] for line in told] == ["sha256sum", "cd", "make", "source", "snakemake"]
    *_, (program, *arguments) = (line.split() for line in told)
    command = [Path(sys.executable).parent / program, "-n", *arguments]
    said = run(command, check=True, cwd=unpacked / told[1].split()[1]).stdout
    runs = [r for r in tier.graph.plan.runs if r.startswith("classifier/")]
    assert int(re.search(PLAN, said, re.MULTILINE)[1]) == len(runs)


# --------------------------------------------------------------------------------- validator


@pytest.mark.skipif(VALIDATOR is None, reason="no rocrate-validator (docs/START.md)")
def test_the_validator_finds_no_fault(tier, tmp_path):
    bundle.write(tier, tmp_path / "bundle.zip")
    cache = os.environ.get("ROCRATE_CACHE")  # of the contexts, made before by the validator
    offline = ["--offline", "--cache-path", cache] if cache else []
    command = [VALIDATOR, "--no-interactive", "validate", "--no-paging", *offline]
    command += ["-p", "provenance-run-crate-0.5", tmp_path / "bundle.zip"]
    done = run(command, limit=300)
    if "urlopen error" in done.stdout + done.stderr:
        pytest.skip("the JSON-LD contexts need a network, or ROCRATE_CACHE")
    assert "is a valid provenance-run-crate-0.5" in done.stdout, done.stdout + done.stderr
