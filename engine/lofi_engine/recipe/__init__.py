"""What was asked for: a recipe read, checked and turned into frozen values.

`load.load_recipe` is the way in; `model` holds the types. Nothing here is heavy to import, and no
other package reads raw YAML.
"""
