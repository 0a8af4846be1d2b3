"""Our model: one Transformer for content-based, collaborative and sequential recommendation."""
