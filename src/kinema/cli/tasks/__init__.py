"""The commands of each task: `finetune` learns it, `predict` applies it."""
