"""Makes a lofi model from a recipe: curate, train, merge, export, quantize, measure, publish.

Light to import: torch and its like are imported inside the stages that need them.
"""
