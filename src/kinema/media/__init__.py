"""Bytes to arrays: frames, motion, sound, subtitles. Nothing here is learned."""
