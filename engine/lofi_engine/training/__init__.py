"""Training an adapter: the flow-matching loss, the data, checkpoints, the loop."""
