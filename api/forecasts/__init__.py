"""`/price/predict` and what lies below it: the newest forecasts, past ones with their outcomes, and their scores."""
