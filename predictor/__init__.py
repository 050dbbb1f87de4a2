"""Forecasts that state their uncertainty: training, one forecast a minute and horizon, and their scores."""
