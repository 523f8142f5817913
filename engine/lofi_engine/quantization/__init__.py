"""Fewer bits for a graph's weights: fp16, int8, int4, what they cost and what they save."""
