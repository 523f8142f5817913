from __future__ import annotations

import subprocess

import numpy as np

from lofi_engine.training.curve import draw_curve
from tests.support.png import read_png
from tests.support.programs import require


def test_a_browser_draws_the_curve_falling_from_left_to_right(tmp_path):
    chromium = require("chromium")
    losses = [2.0 * 0.98**step for step in range(200)]
    (tmp_path / "loss.svg").write_text(draw_curve(losses), encoding="utf-8")
    subprocess.run(
        [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=640,240",
            f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'loss.png'}",
            (tmp_path / "loss.svg").as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )  # fmt: skip
    pixels = read_png(tmp_path / "loss.png").astype(int)
    blue = (pixels[..., 2] > 150) & (pixels[..., 0] < 100)
    rows, columns = np.nonzero(blue)
    heights = [rows[columns == column].mean() for column in range(60, 560, 100)]
    assert heights == sorted(heights)  # rows count downwards: the loss falls
    assert heights[-1] - heights[0] > 80
