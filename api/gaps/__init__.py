"""`/price/gaps`: what is missing and why, and how complete each day is."""
