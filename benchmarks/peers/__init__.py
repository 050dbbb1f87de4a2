"""What others would write, to be measured against."""
