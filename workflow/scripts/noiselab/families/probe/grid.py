"""Settings that the methods of a probe try."""

from itertools import product

from noiselab.families.probe.lists import LISTS
from noiselab.measures.probes.fits import Setting
from noiselab.run import Run


def method_settings(run: Run, method: dict) -> list[Setting]:
    """Every combination of the grid's learning rates and batch sizes with a method's own values."""
    rates = method.get("learning_rate", run.grid["learning_rate"])
    lists = {name: method[name] for name in LISTS if name in method}
    usual = {"weight_decay": run.training["optimizer"]["weight_decay"]}
    usual |= {key: method[key] for key in ("penalty", "noisy_loss") if key in method}
    return [
        Setting(rate, size, **usual | dict(zip(lists, values, strict=True)))
        for rate, size in product(rates, run.grid["batch_size"])
        for values in product(*lists.values())
    ]
