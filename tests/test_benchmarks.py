"""The table of benchmarks, from records; and their registry. Nothing is timed."""

from importlib import import_module

import pytest

import comparing
from bench import MODULES

PLACE = {"revision": "abc", "device": "CPU", "threads": 1, "date": "2026-01-02"}


def record(name, what="a", ours=(1.0, 2.0, 4.0), theirs=(2.0, 6.0, 4.0), **changes):
    made = {
        "name": name,
        "area": f"area of {name}",
        "what": what,
        "reference": "plain",
        "on": "cpu",
    }
    made |= {"unit": "s", "amount": 1, "ours": list(ours), "theirs": list(theirs)}
    return made | {"note": "", "reason": "", "provenance": PLACE} | changes


def rows(text):
    return [line for line in text.splitlines() if line.startswith("| area of")]


def test_a_line_has_medians_and_the_spread_of_the_ratio():
    assert rows(comparing.document([record("x")])) == [
        "| area of x | a | plain | 2 s | 4 s | 2 (1 to 3) | 3 |"
    ]


@pytest.mark.parametrize(
    ("changes", "cells"),
    [
        ({"ours": [2e-3], "theirs": [4e-5]}, "| 2 ms | 40 µs | 0.02 "),
        (
            {"ours": [0.5], "theirs": [2], "unit": "images", "amount": 10},
            "| 20 images/s | 5 images/s | 4 ",
        ),
        ({"ours": [0.5], "theirs": [2], "unit": "GiB"}, "| 0.5 GiB | 2 GiB | 4 "),
    ],
)
def test_numbers_have_their_unit(changes, cells):
    assert cells in rows(comparing.document([record("x", **changes)]))[0]


def test_lines_have_the_order_of_the_registry():
    found = rows(comparing.document([record("x"), record("y"), record("z")], ["y", "x"]))
    assert [line.split()[3] for line in found] == ["y", "x", "z"]


def test_provenance_is_said_once_where_it_is_the_same():
    text = comparing.document([record("x"), record("y", provenance=PLACE | {"date": "2026-01-09"})])
    assert text.count("revision abc") == 1
    assert "2026-01-02 to 2026-01-09." in text
    header = next(line for line in text.splitlines() if line.startswith("|"))
    assert "measured" not in header


def test_lines_of_another_provenance_are_marked():
    text = comparing.document([record("x"), record("y", provenance=PLACE | {"revision": "def"})])
    assert [line.split()[-2] for line in rows(text)] == ["a", "b"]
    assert "- b: revision def" in text


def test_slower_lines_are_listed_with_the_reason():
    slow = record("y", ours=[2.0, 4.0], theirs=[1.0, 3.0], reason="It does more.")
    text = comparing.document([record("x"), slow])
    listed = text.split("## Where ours is slower")[1]
    line = "- *area of y, a* (plain): 0.625 (0.5 to 0.75), below 1 in every round"
    assert f"It does more.\n\n{line}\n" in listed
    assert "area of x" not in listed
    assert "slower" not in comparing.document([record("x")])


def test_a_new_record_replaces_that_of_the_same_line_only(tmp_path):
    file = tmp_path / "records.jsonl"
    assert comparing.read(file) == []
    before = [record("x"), record("x", "b"), record("x", on="cuda")]
    comparing.write(file, before)
    new = record("x", ours=[9.0], theirs=[9.0])
    assert comparing.replaced(comparing.read(file), new) == [*before[1:], new]


def test_every_module_registers_benchmarks_of_unique_names():
    for module in MODULES:
        import_module(module)
    modules = {of.measure.__module__ for of in comparing.BENCHMARKS.values()}
    assert modules == set(MODULES)
    with pytest.raises(ValueError, match="two benchmarks are called noise"):
        comparing.benchmark("noise injection", "noise")(print)


@pytest.mark.parametrize("has_bf16", [False, True])
def test_lines_that_say_what_bf16_brings_are_for_machines_that_have_it(monkeypatch, has_bf16):
    import_module("training_steps")
    found = "bf16" if has_bf16 else "fp32"
    monkeypatch.setattr(comparing.precision, "resolved", lambda setting, device: found)
    always, sometimes = (comparing.BENCHMARKS[n] for n in ("train_classifier", "train_bf16"))
    assert always.possible(comparing.CPU)
    assert sometimes.possible(comparing.CPU) == has_bf16
