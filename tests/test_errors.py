"""Errors as one line."""

import numpy as np
import pytest
import torch

from noiselab.errors import LONGEST, NoiselabError, run_script


def test_a_long_message_shows_its_beginning_and_its_end():
    text = str(NoiselabError(f"config key {'x' * 10_000}: is too long"))
    assert len(text) < LONGEST + 10
    assert text.startswith("config key x")
    assert text.endswith("x: is too long")


@pytest.mark.parametrize(
    "too_large",
    [
        lambda: np.empty(2**58, np.uint8),
        lambda: torch.empty(2**58),
        lambda: torch.empty(2**40, 2**40),
        lambda: torch.nn.Linear(10**9, 10**9),
    ],
)
def test_a_lack_of_memory_is_one_line(too_large):
    with pytest.raises(SystemExit, match=r"^noiselab: not enough memory") as stop:
        run_script(too_large)
    assert "\n" not in stop.value.code


def test_other_errors_of_libraries_are_seen_whole():
    with pytest.raises(RuntimeError, match="shape"):
        run_script(lambda: torch.zeros(2).view(3))
