"""Find a Chromium for the browser tests, or get one: `python -m tools.chromium`."""

import os
import shutil
import subprocess
import sys

from playwright.sync_api import sync_playwright

NAMES = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
]
DOWNLOAD_SECONDS = 300
# None of Chromium's own business with the network, and no sandbox: the superuser cannot have one.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find() -> str | None:
    """Give the path of a Chromium that starts, or None; INITLAB_CHROMIUM goes before all others."""
    named = os.environ.get("INITLAB_CHROMIUM")
    if named:
        if not _starts(named):
            raise RuntimeError(f"INITLAB_CHROMIUM={named!r} is not a browser that starts")
        return named
    for name in NAMES:
        path = shutil.which(name)
        if path and _starts(path):
            return path
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if _starts(own) else None


def get() -> str | None:
    """Try to install a Chromium: Playwright's own build, then, as root, the system's package."""
    _attempt([sys.executable, "-m", "playwright", "install", "chromium"])
    path = find()
    if path is None and shutil.which("apt-get") and os.geteuid() == 0:
        _attempt(["apt-get", "update", "-qq"])
        _attempt(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"])
        path = find()
    return path


def _starts(path: str) -> bool:
    # A path alone proves little: a build may lack system libraries, a launcher its program.
    try:
        run = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0


def _attempt(command: list[str]) -> None:
    print("No Chromium found; trying:", *command, flush=True)
    try:
        subprocess.run(command, timeout=DOWNLOAD_SECONDS, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"That failed: {error}", flush=True)


def main() -> None:
    """Say which Chromium the tests will use, after getting one if there was none."""
    print("Chromium for the browser tests:", find() or get() or "none could be had")


if __name__ == "__main__":
    main()
