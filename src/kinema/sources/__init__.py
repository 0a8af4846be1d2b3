"""Read the outside world and yield records; never write."""
