"""Networks, built from the `model` section of run.json."""
