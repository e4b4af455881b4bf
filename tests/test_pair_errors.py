"""Pairs that cannot be read or downloaded: one line that says why, and no output."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noiselab.data import pairs
from noiselab.errors import NoiselabError
from pair_samples import FILES, FUNCTIONS, files, parquet, prepare, sample


def empty_folder(folder):
    folder.mkdir()


def truncated(folder):
    file = folder / "train-0.parquet"
    file.write_bytes(file.read_bytes()[:-50])


def without_struct_field(folder):
    rows = [{"fr": "a", "en": "b"}]
    pq.write_table(pa.table({"translation": rows}), folder / "train-0.parquet")


def blank_training(folder):
    for number in range(2):
        parquet(folder / f"train-{number}.parquet", [" "] * 3, ["text"] * 3)


MISSING = {"packages": ["json", "no_such_package"]}
BROKEN = {
    "no folder": (None, {}, "no folder .*source"),
    "no files": (
        empty_folder,
        {},
        r"source: no \.parquet, .* or \.tsv file matches train_files",
    ),
    "no train files": (sample, {"train_files": "tr1*"}, "matches train_files 'tr1\\*'"),
    "no validation files": (sample, {"validation_files": "/v*"}, "matches validation_files"),
    "same file": (sample, {"validation_files": "*-1*"}, "train-1.parquet: both train_files and"),
    "truncated": (truncated, {}, "train-0.parquet: cannot be read"),
    "missing column": (
        sample,
        {"target_column": "fr"},
        r"train-0.parquet: no column fr \(found en, de\)",
    ),
    "missing field": (
        without_struct_field,
        {},
        r"train-0.parquet: no column de \(found fr, en, translation\)",
    ),
    "numbers": (
        lambda folder: parquet(folder / "train-0.parquet", ["a"], [1]),
        {},
        "train-0.parquet: column de is not text",
    ),
    "not JSON": (
        lambda folder: (folder / "train-2.jsonl").write_text('{"en": "a", "de": "b"}\n{]'),
        {},
        "train-2.jsonl: line 2 cannot be read",
    ),
    "no pair": (blank_training, {}, "sample: no pair is in the train split"),
    "no validation pair": (
        sample,
        {"validation_files": None, "validation_share": 0.0},
        "sample: no pair is in the validation split",
    ),
    "too small": (sample, {"vocabulary": 5000}, "configured vocabulary 5000"),
    "too small a subset": (sample, {"train_size": 1}, "configured vocabulary 300"),
    "under 259": (sample, {"vocabulary": 256}, "has 259 entries, configured vocabulary 256"),
    "missing package": (sample, FUNCTIONS | MISSING, "package no_such_package is not installed"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_input_is_one_line_and_leaves_no_output(tmp_path, case):
    make, change, message = BROKEN[case]
    if make is sample:
        sample(tmp_path)
    elif make is empty_folder:
        make(tmp_path / "source")
    elif make:
        sample(tmp_path)
        make(tmp_path / "source")
    with pytest.raises(NoiselabError, match=message) as error:
        prepare(tmp_path, FILES | change)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_an_incomplete_folder_is_named(tmp_path):
    sample(tmp_path)
    prepare(tmp_path)
    for file, content in files(tmp_path / "out").items():
        path = tmp_path / "out" / file
        uses = {"tokenizer.json": pairs.tokenizer, "source_lengths.npy": pairs.source_lengths}
        use = uses.get(file, pairs.read)
        path.write_bytes(b"")
        with pytest.raises(NoiselabError, match=file):
            use(tmp_path / "out")
        path.unlink()
        with pytest.raises(NoiselabError, match=file):
            use(tmp_path / "out")
        path.write_bytes(content)
    pairs.read(tmp_path / "out")


def test_sequences_of_another_number_are_refused(tmp_path):
    sample(tmp_path)
    prepare(tmp_path)
    pairs.write_sequences(tmp_path / "out" / "train_target", [[5]] * 59)
    with pytest.raises(NoiselabError, match=r"train_target.npy: 59 sequences, .* says 60"):
        pairs.read(tmp_path / "out")


def test_only_the_configuration_is_downloaded(tmp_path, monkeypatch):
    import huggingface_hub

    calls = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *a, **kw: calls.append((a, kw))
    )
    spec = FILES | {"hub": "wmt/wmt14", "hub_folder": "de-en"}
    pairs.download(spec, tmp_path)
    ((repository,), options) = calls[0]
    assert repository == "wmt/wmt14"
    assert options["repo_type"] == "dataset"
    assert options["local_dir"] == tmp_path
    assert options["allow_patterns"] == [
        f"de-en/*.{suffix}" for suffix in ("parquet", "jsonl", "csv", "tsv")
    ]


def test_a_download_without_network_is_one_line(tmp_path, monkeypatch):
    import huggingface_hub

    def fails(*_, **__):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fails)
    with pytest.raises(NoiselabError, match=r"wmt/wmt14: download failed .*data\.root") as error:
        pairs.download(FILES | {"hub": "wmt/wmt14", "hub_folder": "de-en"}, tmp_path)
    assert "\n" not in str(error.value)
