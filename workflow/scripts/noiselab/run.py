"""One training with everything that it needs resolved: the content of its run.json."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from noiselab.errors import NoiselabError
from noiselab.files import read_json


@dataclass(frozen=True)
class Run:
    """A run. What only its family or its corruption has, such as `classes` or `vocabulary`, is in
    `facts`, and an attribute all the same."""

    run_id: str
    parents: Mapping[str, str]  # role (clean, judge, teacher, init …) -> id of another run
    family: str
    tier: str
    dataset: str
    stands_in_for: str | None
    data: str  # folder of the prepared data set
    corruption: str  # none: every target is the true one
    resample: str
    budget: str
    noise_ratio: float | None  # r; None: infinite, or not known while planning
    error_rate: float | None  # e = r / (1 + r); None: not known while planning
    batch_multiplier: int
    protocol: str
    seed: int
    model: Mapping[str, Any]
    training: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_content(cls, content: Mapping[str, Any], where: object = "run") -> "Run":
        """The run that run.json describes. NoiselabError: a key is missing; `where` is its file."""
        if missing := [name for name in OWN if name not in content]:
            raise NoiselabError(f"{where}: no {missing[0]}, which each run has")
        facts = {key: value for key, value in content.items() if key not in OWN}
        return cls(**{name: content[name] for name in OWN}, facts=MappingProxyType(facts))

    @classmethod
    def read(cls, path: str | Path) -> "Run":
        """The run of a run.json. NoiselabError: it is missing or broken."""
        return cls.from_content(read_json(path), path)

    def content(self) -> dict[str, Any]:
        """What run.json says."""
        return {name: getattr(self, name) for name in OWN} | self.facts

    def __getattr__(self, name: str) -> Any:
        if name != "facts" and name in self.facts:
            return self.facts[name]
        raise AttributeError(f"a run has no {name}")

    def __getitem__(self, key: str) -> Any:
        return getattr(self, key) if key in OWN else self.facts[key]

    def __contains__(self, key: str) -> bool:
        return key in OWN or key in self.facts

    def __iter__(self) -> Iterator[str]:
        return iter(self.content())

    def keys(self) -> list[str]:
        """Keys of run.json, as of a mapping."""
        return list(self.content())

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key that not every run has."""
        return getattr(self, key) if key in OWN else self.facts.get(key, default)

    def __or__(self, changes: Mapping[str, Any]) -> "Run":
        """The run with changes."""
        return Run.from_content({**self.content(), **changes})

    def __reduce__(self):
        return Run.from_content, (
            self.content(),
        )  # loader processes get it; a proxy cannot be pickled


OWN = tuple(part.name for part in fields(Run) if part.name != "facts")  # keys that each run has
