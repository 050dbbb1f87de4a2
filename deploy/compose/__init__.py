"""What the Compose stack is made of besides docker-compose.yml."""
