"""Makes a small base from nothing: synthesised tracks, then one network after the other.

`lofi-nano` is made so. A recipe of its own (`recipes/nano-base.yaml`) says which tracks, the
networks' shapes and how long each is trained; every step goes on where it was stopped.
"""
