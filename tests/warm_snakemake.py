"""Snakemake's command line, for a process of warm_start.py, which has it imported already.

    python workflow/scripts/warm_start.py tests/warm_snakemake.py [ARGUMENT ...]

does what `python -m snakemake ARGUMENT ...` does.
"""

import os
import sys

# What only this process has imported: its jobs ask for a server of their own.
os.environ.pop("NOISELAB_PRELOAD", None)
sys.argv[0] = "snakemake"

from snakemake.cli import main

main()
