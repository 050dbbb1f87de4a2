"""The routes, one module a topic; each module's `router` is all that the app needs of it."""
