# Python side of the workflow: paths, the library, and errors as one line.
import os
import re
import sys
import threading

SCRIPTS = f"{HOME}/workflow/scripts"
if re.search(r"[\x00-\x1f\x7f]", SCRIPTS + os.getcwd() + sys.executable):
    sys.exit(
        "noiselab: a folder here has a line break or control character in its name; rename it"
    )
ENV = f"{HOME}/envs/noiselab.yaml".replace("{", "{{").replace("}", "}}")

# In shell commands, `python` is the interpreter that runs Snakemake, activated or not (with
# --software-deployment-method conda the rule's environment comes before it), and $SCRIPTS keeps
# paths of this machine out of the rules' parameters.
_PATH = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")
os.environ.update(PATH=_PATH, SCRIPTS=SCRIPTS, SNAKEFILE=str(workflow.main_snakefile))

# A line break, not a blank, parts the words of these variables in a command, and no * in them stands
# for files: folders may be called as they like.
shell.prefix("set -euo pipefail; set -f; IFS=$'\\n'; ")

FIRST = 10  # priority of what trainings wait for; theirs are lower (Wiring.priority)

# Jobs use no network, which their computers may not have: libraries that could look for something
# newer on the Hugging Face hub are told not to. Only downloads, local rules all, start with $ONLINE.
os.environ.update(HF_HUB_OFFLINE="1", ONLINE="env\n-u\nHF_HUB_OFFLINE")

sys.path.insert(0, SCRIPTS)
from noiselab.errors import NoiselabError
from noiselab.planning import config as noiselab_config
from noiselab.processes import MEMORY

os.environ.update({**MEMORY, **os.environ})


def _or_exit(function, *arguments):
    try:
        return function(*arguments)
    except NoiselabError as error:
        sys.exit(f"noiselab: {error}")


def end_timers():
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
