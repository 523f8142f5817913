"""The model families the engine can train, merge and export."""
