"""The eleven stages, one module each; `registry` lists them, only `plan` knows their order."""
