"""Take a picture of the report, as the README shows it: its first screen, or another place."""

import argparse
import os
import shutil
from pathlib import Path

from noiselab.errors import NoiselabError, run_script
from noiselab.files import ROOT, whole_file

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 1400, 900  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, default=ROOT / "results/quick/report.html")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/report.png")
    parser.add_argument("--at", default="", help="id of a place in it")
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--height", type=int, default=HEIGHT)
    parser.add_argument("--dark", action="store_true", help="as where a reader prefers dark pages")
    arguments = parser.parse_args()
    if not arguments.report.is_file():
        raise NoiselabError(f"{arguments.report}: is not there; make quick makes it")
    size = {"width": arguments.width, "height": arguments.height}
    page = arguments.report.resolve().as_uri() + (arguments.at and f"#{arguments.at}")
    picture = photograph(page, size, "dark" if arguments.dark else "light")
    with whole_file(arguments.out) as path:
        path.write_bytes(picture)


def photograph(page: str, size: dict[str, int], scheme: str) -> bytes:
    """A screen of a page as a PNG file. page: its address; size: width and height in
    pixels; scheme: light or dark. NoiselabError: there is no browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_browser(), args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        try:
            view = browser.new_page(viewport=size, color_scheme=scheme)
            view.goto(page)
            view.wait_for_timeout(1000)  # milliseconds, until figures are drawn
            return view.screenshot()
        finally:
            browser.close()


def _browser() -> str:
    """The first browser that is there."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise NoiselabError(f"no browser on the path ({', '.join(BROWSERS)}); install chromium")
    return found


if __name__ == "__main__":
    run_script(main)
