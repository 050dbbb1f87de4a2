"""The commands that do one thing and end: `python -m predictor train | forecast | score | backtest`."""
