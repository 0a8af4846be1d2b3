"""Orders the slate: diversity."""
