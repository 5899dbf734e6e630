"""Where a headless Chromium is on this machine; run as a program, fails when there is none."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")


def system_browser() -> str | None:
    """The system's, by the path on which programs are found; ``None`` when there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def has_browser() -> bool:
    """Whether there is one, of the system or of Playwright."""
    if system_browser():
        return True
    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


if __name__ == "__main__":
    sys.exit(0 if has_browser() else 1)
