"""Comparing variants with float32 through the runtime's own pipeline: what is measured ships."""
