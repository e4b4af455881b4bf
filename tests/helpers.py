"""Small runs and synthetic data for the tests."""

import numpy as np
import torch

from noiselab.data.prepared import Split
from noiselab.planning import config, runs
from noiselab.run import Run

RATIOS = [0, 0.1, 0.3, 0.5, 1.0]


def small_run(results="results/smoke", **experiment) -> Run:
    """A run of the smoke tier on digits; keywords change its experiment."""
    ratio = experiment.pop("noise_ratio", 1.0)
    changes = {"experiments": {"table2": experiment | {"noise_ratios": [ratio]}}}
    settings = config.load(changes, tier="smoke")
    plan = runs.plan(settings, results)
    return plan.runs[plan.experiments["table2"][0]]


def example_run(**changes) -> Run:
    """A run of no plan, for what looks at a few of its keys only."""
    noise = {"corruption": "none", "resample": "none", "budget": "none"}
    noise |= {"noise_ratio": 0.0, "error_rate": 0.0, "batch_multiplier": 1, "protocol": "text"}
    names = dict.fromkeys(("run_id", "family", "tier", "dataset", "stands_in_for", "data"), "")
    content = {"parents": {}, "seed": 0, "model": {}, "training": {}}
    return Run.from_content({**names, **noise, **content, **changes})


def random_images(n: int, channels: int, size: int, classes: int, seed: int = 0) -> Split:
    """Random images uint8 [n, c, s, s] with balanced labels."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (n, channels, size, size), dtype=np.uint8)
    return Split(x, np.arange(n, dtype=np.int64) % classes)


def small_vit(folder) -> None:
    """A vision transformer of 12 features and one block in timm's layout, for 32 x 32 pixels."""
    import timm

    torch.manual_seed(0)
    settings = {"img_size": 32, "patch_size": 16, "embed_dim": 12, "depth": 1, "num_heads": 2}
    network = timm.create_model("vit_tiny_patch16_224", num_classes=3, **settings)
    network.pretrained_cfg["input_size"] = (3, 32, 32)
    timm.models.save_for_hf(network, folder, model_args=settings, safe_serialization=True)
