"""Reads, measures, converts and writes tracks. Importing this package is cheap."""
