"""What two or more of Minutebook's parts need; imports none of them."""
