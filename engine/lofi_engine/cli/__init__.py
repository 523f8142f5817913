"""The `lofi-recipe` command: one file a verb, each a plain function."""
