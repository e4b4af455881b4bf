"""What the rules of data sets are made of."""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from noiselab.data.kinds import KINDS, OF_DOMAINS, prepared_by
from noiselab.planning.datasets import is_real, source_folder
from noiselab.planning.graph import Graph, prepared


@dataclass(frozen=True)
class Download:
    """A rule that fetches the data sets of a kind."""

    rule: str
    pattern: str  # of the names of folders


@dataclass(frozen=True)
class Preparation:
    """A rule that prepares the data sets of some kinds."""

    rule: str
    pattern: str  # of the names of data sets
    outputs: dict[str, str]


# Rules whose scripts start processes of their own, which a fork should not.
COLD = ("prepare_image_files", "prepare_text")


class DataRules:
    """The data sets of a plan for the rules."""

    def __init__(self, graph: Graph):
        self.graph, self.sets = graph, graph.plan.datasets
        # Folder below the downloads -> a data set whose files lie there, the first.
        real = [(source_folder(spec), name) for name, spec in self.sets.items() if is_real(spec)]
        self.first = dict(reversed(real))

    def downloads(self) -> list[Download]:
        """A rule per kind of real data set."""
        rules = dict.fromkeys(kind.download for kind in KINDS.values() if kind.download)
        return [Download(rule, self._pattern(self._folders(rule))) for rule in rules]

    def _folders(self, rule: str) -> list[str]:
        kinds = [name for name, kind in KINDS.items() if kind.download == rule]
        return [f for f, name in self.first.items() if self.sets[name]["kind"] in kinds]

    def preparations(self) -> list[Preparation]:
        """A rule per kind of arrays."""
        found = []
        for rule in dict.fromkeys(kind.rule for kind in KINDS.values()):
            kinds = prepared_by(rule)
            names = self.graph.plan.kinds(kinds)
            spec = {"kind": kinds[0]}
            files = prepared(self.graph.places, "{dataset}", spec)
            outputs = {_keyword(file): file for file in files}
            outputs["record"] = f"{self.graph.places.results}/records/prepare/{{dataset}}"
            found.append(Preparation(rule, self._pattern(names), outputs))
        return found

    @staticmethod
    def _pattern(names: list[str]) -> str:
        return "|".join(map(re.escape, names)) or "none"

    def specification(self, wildcard: str, without: tuple[str, ...] = ()) -> Callable:
        """Parameter of a rule: the specification of its data set as JSON."""

        def found(wildcards) -> str:
            name = wildcards[wildcard]
            spec = self.sets[self.first[name] if wildcard == "source" else name]
            return json.dumps({k: v for k, v in spec.items() if k not in without}, sort_keys=True)

        return found

    def source(self, wildcards) -> str:
        """Command-line option that names the folder of a real data set: local copy or download."""
        spec = self.sets[wildcards["dataset"]]
        if not is_real(spec):
            return ""
        return f"--source {shlex.quote(self.graph.places.source(source_folder(spec)))}"

    def preparing(self, rule: str) -> Callable:
        """Parameter of a rule: the command line that prepares a data set. How many threads there
        are is no part of it, or data would be prepared again with other --cores."""
        specification = self.specification("dataset", without=OF_DOMAINS)
        python = "python" if rule in COLD else "$PYTHON"

        def command(wildcards) -> str:
            name, results = wildcards["dataset"], self.graph.places.results
            words = ["--spec", specification(wildcards), "--out", f"{results}/data/{name}"]
            if rule == "prepare_text":  # finished shards survive a failed attempt
                words += ["--work", f"{results}/checkpoints/data/{name}"]
            source = self.source(wildcards)
            return f"{python} $SCRIPTS/{rule}.py {shlex.join(words)} {source}".rstrip()

        return command

    def downloading(self, rule: str) -> Callable:
        """Parameter of a rule: the command line that fetches a data set."""
        specification = self.specification("source")

        def command(wildcards) -> str:
            words = ["--spec", specification(wildcards), "--out", f"data/{wildcards['source']}"]
            return f"$PYTHON $SCRIPTS/{rule}.py {shlex.join(words)}"

        return command


def _keyword(file: str) -> str:
    """Name of an output, after its file."""
    return file.rpartition("/")[2].replace(".", "_")
