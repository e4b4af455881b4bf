"""Size of a run's network: parameters, and floating-point operations (FLOPs) of one example.

Networks are built on torch's meta device, which has shapes but no numbers, so that ViT-B or GPT-2
take a second and no memory. A multiplication and an addition are two FLOPs; attention counts whole,
also where a mask hides half of it. What an example is, its family says (`example` in its task.py).
"""

from importlib import import_module
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from noiselab.families.work import Data, Network
from noiselab.planning.estimates import Estimate
from noiselab.planning.graph import Graph
from noiselab.planning.measured import measured_rates, workload
from noiselab.planning.runs import Plan
from noiselab.planning.sizes import data_size
from noiselab.run import Run


def estimated(graph: Graph, timed: bool = True) -> Estimate:
    """Everything that an estimate of a plan is made from, with what the folder of results has of
    its data and finished trainings. Where it need not be timed, FLOPs are not counted, which takes
    a while: numbers of bytes are right, those of seconds mean nothing."""
    config, results = graph.config, Path(graph.places.results)
    data = {
        name: data_size(spec, results / "data" / name, config["cost"]["data"])
        for name, spec in graph.plan.datasets.items()
    }
    measured = measured_rates(graph.plan, config, results)
    return Estimate(graph, data, networks(graph.plan, data, timed), measured)


def networks(plan: Plan, data: dict[str, Data], timed: bool = True) -> dict[str, Network]:
    """Size of the network of every run of a plan; each kind is counted once. FLOPs are 1 where
    they are not counted."""
    found: dict[str, Network] = {}
    for run in plan.runs.values():
        if workload(run) not in found:
            size = data[Path(run.data).name]
            found[workload(run)] = network(run, size, timed)
    return {name: found[workload(run)] for name, run in plan.runs.items()}


def network(run: Run, data: Data, timed: bool = True) -> Network:
    """Parameters and FLOPs of the forward pass of one example; where targets differ in length, of
    the mean and of the longest."""
    model, *arguments = _example(run, data)
    parameters = sum(p.numel() for p in model.parameters())
    if not timed:
        return Network(parameters, 1.0, 1.0)
    forward = count(model, *arguments)
    if "target_length" not in run:
        return Network(parameters, forward)
    longest = _example(run, data._replace(target=run.target_length))
    return Network(parameters, forward, count(*longest))


def count(model: nn.Module, inputs: tuple, named: dict) -> float:
    """FLOPs of model(*inputs, **named), all on the meta device: matrix products and convolutions,
    which are nearly all there are."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(*inputs, **named)
    return float(counter.get_total_flops())


def _example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """A network and its arguments for one example, on the meta device."""
    family = import_module(f"noiselab.families.{run.family}.task")
    with torch.device("meta"):
        return family.example(run, data)
