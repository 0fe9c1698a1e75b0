"""Take the README's screenshots from the real app: ``python tests/screenshots.py``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from served_app import ROOT, open_browser, serve_app

FOLDER = ROOT / "assets" / "screenshots"
MAX_BYTES = 300_000


def main() -> None:
    """Write first-screen.png and finished-job.png, 1366 x 768, each below 300 kB."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_app(Path(folder)) as app,
        open_browser() as browser,
    ):
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.goto(app.url)
        page.wait_for_selector("#clip-preview img")
        page.wait_for_function("document.querySelector('#voice-preview audio').readyState >= 1")
        page.mouse.move(0, 0)
        page.screenshot(path=FOLDER / "first-screen.png")
        page.click("#generate")
        page.wait_for_selector("[data-testid=confidence]", timeout=180_000)
        page.mouse.move(0, 0)
        # a moment in mid-speech shows more than the first frame
        page.evaluate("document.querySelector('#video video').currentTime = 3.0")
        page.wait_for_function("!document.querySelector('#video video').seeking")
        page.wait_for_timeout(500)
        page.screenshot(path=FOLDER / "finished-job.png")
    for path in sorted(FOLDER.glob("*.png")):
        # 256 colours: a third of the size, and hardly a difference
        Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
        sys.stdout.write(f"{path} {path.stat().st_size} bytes\n")
        if path.stat().st_size > MAX_BYTES:
            sys.exit(f"{path} is larger than {MAX_BYTES} bytes")


if __name__ == "__main__":
    main()
