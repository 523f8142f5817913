"""ACE-Step's own trainer: its LoRA config and its command line to a recipe, and from one."""
