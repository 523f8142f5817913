"""The protocol: transport, framing, validation, methods; each knows only what it is given."""
