"""`python -m predictor run`: forecasts, scores and trainings, until it is stopped."""
