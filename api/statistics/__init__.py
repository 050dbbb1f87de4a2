"""`/price/stats`: a range of minutes summed up."""
