"""Plays finished tracks: a mixer in a child process, and the server's side of it.

The server's modules (`player`, `playlist`, `prefetch`, `process`, `device_list`) never import
numpy, soundfile or miniaudio; the child's (`player_main`, `mixer`, `sound`, `fades`, `output`) do.
"""
