"""How good a base is, by figures: what `lofi-recipe base measure` writes and the card shows.

Everything is measured on pieces that nothing was trained on. Each figure is a module with one
function; `figures` lists them, `run` goes through them and keeps what is measured already.
"""
