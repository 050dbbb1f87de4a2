"""What the API is, and its documentation: `/`, `/docs` and `/openapi.json`."""
