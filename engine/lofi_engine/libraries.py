"""Keeps libraries from saying what a user can do nothing about."""

from __future__ import annotations

import logging


def quiet_bitsandbytes() -> None:
    """Keep bitsandbytes from saying, whenever peft imports it, which kernels a machine lacks."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
