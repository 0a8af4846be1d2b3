"""A request becomes a slate: retrieval, filters, ranking, re-ranking, reasons."""
