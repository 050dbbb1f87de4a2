"""Where models are kept: MLflow, what it knows of a model, and the copy on this machine's disk."""
