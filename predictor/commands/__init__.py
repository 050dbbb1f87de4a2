"""`python -m predictor train | forecast | score | backtest`: done once."""
