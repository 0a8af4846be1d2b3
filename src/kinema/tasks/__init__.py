"""What we ask of the model; pre-training is a task too."""
