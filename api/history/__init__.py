"""`/price/history`: bars of any interval with their features, in pages or as one table."""
