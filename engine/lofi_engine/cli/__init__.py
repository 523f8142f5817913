"""The `lofi-recipe` command: one file a verb, each a function of plain values giving an exit code."""
