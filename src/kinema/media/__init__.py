"""Bytes to arrays: frames, motion. Nothing here is learned."""
