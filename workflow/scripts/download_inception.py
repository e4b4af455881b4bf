"""Download pytorch-fid's Inception weights; needs the network."""

import argparse
from pathlib import Path
from urllib.request import urlretrieve

from noiselab.errors import NoiselabError, run_script
from noiselab.files import whole_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    from pytorch_fid.inception import FID_WEIGHTS_URL

    with whole_file(arguments.out) as path:
        try:
            urlretrieve(FID_WEIGHTS_URL, path)
        except OSError as error:
            raise NoiselabError(
                f"download of Inception's weights failed ({error}); where there is no network, put "
                f"{arguments.out.name} into the folder inception/ of data.root, or set "
                "diffusion.evaluation.features to judge"
            ) from error


if __name__ == "__main__":
    run_script(main)
