"""The 38 styles as data and the prompts written from them: one taxonomy for engine and runtime."""
