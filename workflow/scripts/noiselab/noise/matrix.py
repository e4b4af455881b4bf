"""Matrices of wrong labels in csv files."""

import hashlib

from noiselab.errors import NoiselabError


def read_matrix(path: str) -> tuple[list[list[float]], str]:
    """The rows of a csv file of numbers without header, and the SHA-256 of its content.

    NoiselabError where it cannot be read. Without NumPy, which would slow each `snakemake` down.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
        lines = content.decode("utf-8-sig").splitlines()  # spreadsheets write a mark in front
        rows = [[float(number) for number in line.split(",")] for line in lines if line.strip()]
    except OSError as error:
        raise NoiselabError(f"cannot read {path} ({error.strerror})") from error
    except ValueError as error:
        raise NoiselabError(f"{path} is no csv file of numbers ({error})") from error
    return rows, hashlib.sha256(content).hexdigest()
