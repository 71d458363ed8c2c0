"""Check what a run of the command line left behind: ``python check_run.py DIRECTORY``.

The posterior reads back with the package's own reader, its draws are finite and vary, and no
picture is blank. Prints one line per check and exits with status 1 at the first that fails.
"""

import json
import sys
from pathlib import Path

import matplotlib.image
import numpy as np

from jaxlmt import results

PARAMETERS = ("g_x", "mass", "eps_x")


def require(condition, message):
    if not condition:
        sys.exit(f"check_run: FAILED: {message}")


def check_posterior(path):
    posterior = results.load(path)["posterior"]
    for name in PARAMETERS:
        require(name in posterior, f"{path.name} holds no draws of {name}")
        draws = np.asarray(posterior[name])
        require(draws.size > 0, f"{path.name} holds no draws of {name}")
        require(np.all(np.isfinite(draws)), f"some draws of {name} are not finite")
        require(np.ptp(draws) > 0, f"all draws of {name} are the same")
        print(f"{path.name}: {name} {draws.shape}, mean {draws.mean():.4g}, sd {draws.std():.2g}")


def check_picture(path):
    pixels = np.atleast_3d(matplotlib.image.imread(path)).astype(float)
    if pixels.shape[-1] in (2, 4):  # over white paper
        alpha = pixels[..., -1:]
        pixels = alpha * pixels[..., :-1] + (1 - alpha)
    deviation = pixels.mean(axis=-1).std()
    require(deviation > 0.01, f"{path.name} is blank (standard deviation {deviation:.2g})")
    print(f"{path.name}: {pixels.shape[1]} x {pixels.shape[0]}, grey deviation {deviation:.3f}")


def main(directory):
    directory = Path(directory)
    check_posterior(directory / "posterior.nc")
    json.loads((directory / "summary.json").read_text())
    pictures = sorted(directory.rglob("*.png"))
    require(pictures, f"no PNG in {directory}")
    for picture in pictures:
        check_picture(picture)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
