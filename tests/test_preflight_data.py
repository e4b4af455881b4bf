"""Each check of the data that a plan needs: what lies there, and what has to be downloaded."""

import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from image_folders import image_folder, image_spec, parquet_folder
from noiselab.data import complete, text, text_sources
from noiselab.errors import NoiselabError
from noiselab.planning import config, project
from noiselab.planning.preflight import data, network
from noiselab.planning.preflight.network import Question
from noiselab.planning.preflight.rows import MISSING, OK, WARNING, Row
from preflight_samples import cifar_files, parquet, planned, states

# ------------------------------------------------------------------------------------- data


def rows_of(root, spec, prepared=False):
    return data.local_row(spec, root, prepared)


CIFAR = {"name": "cifar10", "kind": "cifar", "train_size": 4, "test_size": 2, "classes": 2}
TEXT = {"name": "web", "kind": "text", "text_column": "text", "tokenizer": "bpe"}
PAIRS = {"name": "two", "kind": "pairs", "source_column": "en", "target_column": "de"}
PAIRS |= {"train_files": "train*", "validation_files": "val*"}


def test_cifar_is_whole_by_names_columns_and_rows(tmp_path):
    assert "no folder" in rows_of(tmp_path, CIFAR).found
    cifar_files(tmp_path)
    assert rows_of(tmp_path, CIFAR).state == OK
    row = rows_of(tmp_path, CIFAR | {"train_size": 5})
    assert (row.state, "train split has 4 images" in row.found) == (MISSING, True)
    (tmp_path / "cifar10" / "test.parquet").unlink()
    assert "no test*.parquet" in rows_of(tmp_path, CIFAR).found
    parquet(tmp_path / "cifar10" / "test.parquet", wrong=1)
    assert "no columns image and label" in rows_of(tmp_path, CIFAR).found


def test_a_file_that_lacks_in_torchvisions_folder_is_named(tmp_path):
    folder = tmp_path / "cifar10" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).touch()
    assert rows_of(tmp_path, CIFAR).state == OK
    (folder / "data_batch_3").unlink()
    row = rows_of(tmp_path, CIFAR)
    assert (row.state, row.found) == (MISSING, f"no {folder / 'data_batch_3'}")


def test_folders_of_images_need_an_image_of_each_class(tmp_path):
    image_folder(tmp_path / "photos", train=2, test=1)
    spec = image_spec(train_size=8, test_size=4)
    assert rows_of(tmp_path, spec).state == OK
    for file in (tmp_path / "photos" / "val" / "n00000007").iterdir():
        file.unlink()
    row = rows_of(tmp_path, spec)
    assert row.state == MISSING
    assert row.found == f"no image in {tmp_path / 'photos' / 'val' / 'n00000007'}"
    shutil.rmtree(tmp_path / "photos" / "val")
    assert "no val/ nor validation/" in rows_of(tmp_path, spec).found


def test_a_shard_of_image_files_that_lacks_is_named(tmp_path):
    tree = image_folder(tmp_path / "tree", train=2, test=1)
    folder = parquet_folder(tmp_path / "photos", tree)
    spec = image_spec(train_size=8, test_size=4)
    assert rows_of(tmp_path, spec).state == OK
    assert "configured 9" in rows_of(tmp_path, spec | {"train_size": 9}).found
    shard = folder / "data" / "train-00001-of-00002.parquet"
    shard.unlink()
    row = rows_of(tmp_path, spec)
    assert (row.state, row.found) == (MISSING, f"no {shard}")


def test_text_with_a_shard_less_is_doubtful_and_other_columns_are_missing(tmp_path):
    for i in (0, 2):
        parquet(tmp_path / "web" / f"train-{i:05}-of-00003.parquet")
    row = rows_of(tmp_path, TEXT)
    assert row.state == WARNING
    assert "train-00001-of-00003.parquet" in row.found
    parquet(tmp_path / "web" / "train-00001-of-00003.parquet")
    assert (rows_of(tmp_path, TEXT).state, rows_of(tmp_path, TEXT).found) == (OK, "3 files")
    row = rows_of(tmp_path, TEXT | {"text_column": "content"})
    assert (row.state, "no column content" in row.found) == (MISSING, True)
    (tmp_path / "web" / "train-00001-of-00003.parquet").write_bytes(b"PAR1")
    assert "cannot be read" in rows_of(tmp_path, TEXT).found


def test_text_of_several_folders_needs_all_of_them_and_that_out_of_domain(tmp_path):
    spec = TEXT | {"parts": [{"folder": f, "text_column": f"of_{f}"} for f in ("a", "b")]}
    spec |= {"out_of_domain": {"folder": "wiki", "text_column": "line", "files": "test*"}}
    parquet(tmp_path / "a" / "train.parquet", of_a="words")
    assert rows_of(tmp_path, spec).found == f"no folder {tmp_path / 'b'}"
    parquet(tmp_path / "b" / "all.parquet", of_a="words")
    assert "no column of_b" in rows_of(tmp_path, spec).found
    parquet(tmp_path / "b" / "all.parquet", of_b="words")
    assert rows_of(tmp_path, spec).found == f"no folder {tmp_path / 'wiki'}"
    parquet(tmp_path / "wiki" / "validation.parquet", line="words")
    row = rows_of(tmp_path, spec)
    assert (row.state, "matches 'test*'" in row.found) == (MISSING, True)
    parquet(tmp_path / "wiki" / "test.parquet", line="words")
    assert (rows_of(tmp_path, spec).state, rows_of(tmp_path, spec).found) == (OK, "3 files")


def test_gpt2s_tokenizer_lies_beside_its_text(tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.txt").write_text("words")
    row = rows_of(tmp_path, TEXT | {"tokenizer": "gpt2", "vocabulary": 300})
    assert row.state == MISSING
    assert f"{tmp_path / 'gpt2'}: no tokenizer.json" in row.found
    (tmp_path / "gpt2").mkdir()
    text.bpe_tokenizer(["many words"], 257).save(str(tmp_path / "gpt2" / "tokenizer.json"))
    assert rows_of(tmp_path, TEXT | {"tokenizer": "gpt2", "vocabulary": 257}).state == OK


def test_pairs_need_both_splits_and_columns(tmp_path):
    parquet(tmp_path / "two" / "train.parquet", en="a", de="b")
    assert "jsonl, .csv or .tsv file matches validation_files" in rows_of(tmp_path, PAIRS).found
    (tmp_path / "two" / "val.jsonl").write_text('{"translation": {"en": "a", "de": "b"}}\n')
    assert rows_of(tmp_path, PAIRS).state == OK
    (tmp_path / "two" / "val.jsonl").write_text('{"en": "a"}\n')
    assert "no column de" in rows_of(tmp_path, PAIRS).found


def test_a_source_that_has_gone_is_no_harm_once_it_is_prepared(tmp_path):
    settings = config.load({"only": ["table2"], "data": {"root": str(tmp_path)}}, tier="paper")
    graph = project.plan(settings, str(tmp_path / "results")).graph
    prepared = tmp_path / "results" / "data" / "cifar10"
    prepared.mkdir(parents=True)
    (prepared / "dataset.json").write_text("{}")
    found = data.data_rows(graph, ["prepare/cifar10", "prepare/cifar100"])[0]
    assert states(found) == {"data: cifar10": WARNING, "data: cifar100": MISSING}


def test_shards_that_lack_are_told_from_the_names_of_the_others():
    files = [Path(f"a/train-0000{i}-of-00004.parquet") for i in (0, 3)]
    other = [Path("a/validation-00000-of-00001.parquet"), Path("a/train.parquet")]
    missing = [Path(f"a/train-0000{i}-of-00004.parquet") for i in (1, 2)]
    assert complete.missing_shards(files + other) == missing
    assert complete.named(missing) == f"{missing[0]} and 1 more"


def test_embedded_data_need_their_packages():
    digits = {"name": "digits", "kind": "digits"}
    assert data.embedded_row([digits]).state == OK
    row = data.embedded_row([digits, {"kind": "docstrings", "packages": ["no_such"]}])
    assert (row.state, row.found) == (MISSING, "not installed: no_such")


def test_inceptions_weights_have_their_hash_in_their_name(tmp_path):
    weights = tmp_path / "pt_inception-2cf24dba.pth"  # of "hello"
    assert data.inception_row(weights).state == MISSING
    weights.write_bytes(b"hello")
    assert data.inception_row(weights).state == OK
    weights.write_bytes(b"hell")
    assert "broken" in data.inception_row(weights).found


# ---------------------------------------------------------------------------------- network


def asked(ask, refusal=""):
    ((row, size),) = network.ask_all([Question("data: x", "host", ask, refusal)], seconds=300)
    return row, size


def fail(error):
    def ask(seconds):
        raise error

    return ask


def test_what_has_to_be_downloaded_is_asked_for():
    row, size = asked(lambda seconds: 3_000_000_000)
    assert (row.state, size) == (OK, 3e9)
    assert "3 GB to download from host" in row.found
    row, size = asked(fail(OSError("no route\nat all")))
    assert (row.state, size) == (MISSING, 0)
    assert "host: no access (no route)" in row.found
    assert "data.root" in row.fix


def test_a_network_that_does_not_answer_is_not_waited_for():
    over = threading.Event()
    questions = [Question(f"data: {i}", "host", lambda _: over.wait(600)) for i in range(9)]
    rows = [row for row, _ in network.ask_all(questions, seconds=0.2)]
    over.set()  # or they would wait for ten minutes: the rows were there before
    assert {row.state for row in rows} == {MISSING}
    assert rows[8].found == "host: no answer"


def hub(monkeypatch, metadata=lambda url, **options: None):
    """A hub of two shards and another file, each of 5 bytes."""
    import huggingface_hub

    names = ("data/train-0.parquet", "data/val-0.parquet", "README.md")
    files = [SimpleNamespace(rfilename=name, size=5) for name in names]
    info = SimpleNamespace(siblings=files)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *args, **options: info)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", metadata)


IMAGENET = {"name": "imagenet10", "kind": "image_files", "source": "imagenet", "hub": "a/imagenet"}


def test_the_hub_is_asked_for_the_files_that_are_downloaded(monkeypatch):
    seen = []
    hub(monkeypatch, lambda url, **options: seen.append(url))
    question = data.question(IMAGENET, Path("data"))
    assert question.check == "data: imagenet"
    assert question.ask(1.0) == 10
    assert seen[0].endswith("/datasets/a/imagenet/resolve/main/data/train-0.parquet")
    with pytest.raises(NoiselabError, match="has no "):
        text_sources.snapshot_bytes("a/imagenet", ["*.zip"], 1.0)


def test_terms_that_were_not_accepted_are_told_apart(monkeypatch):
    from huggingface_hub.errors import GatedRepoError

    response = SimpleNamespace(status_code=401, headers={}, request=None)
    gated = GatedRepoError("Access is restricted", response=response)
    hub(monkeypatch, lambda url, **options: fail(gated)(1))
    question = data.question(IMAGENET, Path("data"))
    ((row, _),) = network.ask_all([question])
    assert (row.state, row.found) == (MISSING, "the hub refuses it")
    for part in ("a/imagenet", "hf auth login", "HF_TOKEN", "imagenet/train/"):
        assert part in row.fix


def test_subsets_of_a_set_are_asked_for_once_and_downloaded_ones_not(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    graph, names = planned("paper", only=["table3"])
    answered = []

    def ask_all(questions):
        answered.extend(questions)
        return [(Row(q.check, OK, ""), 7.0) for q in questions]

    monkeypatch.setattr(network, "ask_all", ask_all)
    found, size = data.data_rows(graph, names)
    assert ([row.check for row in found], size) == (["data: imagenet"], 7)
    complete = tmp_path / "data" / "imagenet" / ".complete"
    complete.parent.mkdir(parents=True)
    complete.touch()
    found, size = data.data_rows(graph, ["prepare/imagenet10", "tables/table3"])
    assert [(row.check, row.found) for row in found] == [("data: imagenet10", "downloaded")]
    assert (len(answered), size) == (1, 0)
    assert data.data_rows(graph, []) == ([], 0)


def test_the_weights_of_inception_are_looked_for_where_jobs_read_them(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        network, "ask_all", lambda asked: [(Row(q.check, OK, ""), 1) for q in asked]
    )
    graph, names = planned("paper", only=["table1"])
    judged, _ = planned("paper", only=["table1"], diffusion={"evaluation": {"features": "judge"}})
    measuring = [name for name in names if name.startswith("measure/")]
    assert [row.check for row in data.data_rows(graph, measuring)[0]] == ["data: inception"]
    other = [name for name in judged.jobs if name.startswith("measure/")]
    assert len(other) == len(measuring)
    assert data.data_rows(judged, other) == ([], 0)
    local, _ = planned("paper", only=["table1"], data={"root": str(tmp_path)})
    (row,), _ = data.data_rows(local, measuring)
    assert (row.state, str(tmp_path / "inception") in row.found) == (MISSING, True)
