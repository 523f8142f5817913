"""Figures of how audio sounds, each with how many it counts and how sure it is."""
