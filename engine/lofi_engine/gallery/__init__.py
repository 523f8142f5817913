"""A folder to hear every style in: clips, spectrograms and one page. Importing it is cheap."""

from __future__ import annotations

from lofi_engine.gallery.rendering import render_gallery

__all__ = ["render_gallery"]
