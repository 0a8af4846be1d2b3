"""The single durable copy: catalogue, events, vectors. Only this room knows SQL."""
