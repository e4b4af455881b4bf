"""Write the conda environment of the rules with the pins of requirements.txt (`make lock`)."""

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEAD = """\
# For --software-deployment-method conda. Written by `make lock`; the same pins as
# requirements.txt, which also serves the development tools.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python =3.11
  - pip
  - pip:
"""


def environment() -> str:
    """Text of envs/noiselab.yaml: the direct dependencies, pinned."""
    wanted = [
        re.match(r"[A-Za-z0-9-]+", line).group()
        for line in (HERE.parent / "requirements.in").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    pins = pinned((HERE.parent / "requirements.txt").read_text())
    return HEAD + "".join(f"      - {name}=={pins[name]}\n" for name in wanted)


def pinned(requirements: str) -> dict[str, str]:
    """Name -> version, of the lines that apply to Python 3.11."""
    lines = [line for line in requirements.splitlines() if ">= '3.12'" not in line]
    return dict(re.match(r"([A-Za-z0-9-]+)==([^ ;]+)", line).groups() for line in lines if line)


if __name__ == "__main__":
    (HERE / "noiselab.yaml").write_text(environment())
