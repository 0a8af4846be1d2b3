"""Search for FLM's size and weights on validation, within a budget of seconds."""
