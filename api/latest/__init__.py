"""`/price/latest`: the newest closed minute."""
