"""Rankers every model is measured against, fitted on the training histories of a split."""
