"""Size of a run's network: parameters, and floating-point operations (FLOPs) of one example.

Networks are built on torch's meta device, which has shapes but no numbers, so that ViT-B or GPT-2
take a second and no memory. A multiplication and an addition are two FLOPs; attention counts whole,
also where a mask hides half of it.
"""

from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from noiselab.planning import cost, runs
from noiselab.planning.cost import Data, Network, workload
from noiselab.planning.runs import Plan


def estimated(config: dict, results: Path, timed: bool = True) -> cost.Estimate:
    """Everything that an estimate of a configuration's plan is made from, with what the folder of
    results has of its data and finished trainings. Where it need not be timed, FLOPs are not
    counted, which takes a while: numbers of bytes are right, those of seconds mean nothing."""
    plan = runs.plan(config, str(results))
    data = {
        name: cost.data_size(spec, results / "data" / name, config["cost"]["data"])
        for name, spec in plan.datasets.items()
    }
    measured = cost.measured_rates(plan, config, results)
    return cost.Estimate(plan, config, data, networks(plan, data, timed), measured)


def networks(plan: Plan, data: dict[str, Data], timed: bool = True) -> dict[str, Network]:
    """Size of the network of every run of a plan; each kind is counted once. FLOPs are 1 where
    they are not counted."""
    found: dict[str, Network] = {}
    for run in plan.runs.values():
        size = data[run["dataset"]]
        if (key := workload(run)) not in found:
            source = max(1, round(run.get("source_share", 1) * size.source))
            target = max(1, round(size.target))
            counted = network(run, size.image, source, target) if timed else None
            found[key] = counted or Network(_parameters(_built(run, size.image)), 1.0, 1.0)
    return {name: found[workload(run)] for name, run in plan.runs.items()}


def network(run: dict, size: int | None, source: int, target: int) -> Network:
    """Parameters and FLOPs of the forward pass of one example: an image of `size` pixels a side,
    a window of `context` tokens, or a pair of `source` and `target` tokens. Sizes that the family
    has no use for are ignored."""
    model = _built(run, size)
    parameters = _parameters(model)
    forward = count(model, *_inputs(run, size, source, target))
    if run["family"] != "seq2seq":
        return Network(parameters, forward)
    longest = _inputs(run, size, source, run["target_length"])
    return Network(parameters, forward, count(model, *longest))


def count(model: nn.Module, inputs: tuple, named: dict) -> float:
    """FLOPs of model(*inputs, **named), all on the meta device: matrix products and convolutions,
    which are nearly all there are."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(*inputs, **named)
    return float(counter.get_total_flops())


def _parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _built(run: dict, size: int | None) -> nn.Module:
    family = import_module(f"noiselab.families.{run['family']}.task")
    with torch.device("meta"):
        if run["family"] not in ("classifier", "vision_transformer"):
            return family.build(run)
        # Statistics of images, which no number here depends on.
        shape = [run["channels"], size, size]
        return family.build(run, {"mean": [0.5], "std": [0.5], "shape": shape})


def _inputs(run: dict, size: int | None, source: int, target: int) -> tuple[tuple, dict]:
    """Arguments of one example. Masks are given whole, for transformers would look into them."""
    if run["family"] == "language_model":
        length = run["model"]["context"]
        return (_tokens(length),), {"attention_mask": _mask(length, length)}
    if run["family"] == "seq2seq":
        named = {"input_ids": _tokens(source), "attention_mask": _mask(1, source)}
        named |= {"decoder_input_ids": _tokens(target)}
        return (), named | {"decoder_attention_mask": _mask(target, target)}
    images = torch.empty(1, run["channels"], size, size, device="meta")
    if run["family"] == "diffusion":
        level, condition = (torch.empty(1, *n, device="meta") for n in ((), (run["classes"],)))
        return (images, level, condition), {}
    return (images,), {}


def _tokens(length: int) -> Tensor:
    return torch.empty(1, length, dtype=torch.long, device="meta")


def _mask(queries: int, keys: int) -> Tensor:
    return torch.empty(1, 1, queries, keys, dtype=torch.bool, device="meta")
