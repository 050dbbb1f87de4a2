"""What a group of tasks has raised: the errors in it, and the one among them that says most."""

from shared.errors import DatabaseUnavailableError, LeadershipLostError, MinutebookError


def list_errors(error: Exception) -> list[Exception]:
    """Return the errors of a group, however deep they lie; an error that is no group by itself."""
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [inner for each in error.exceptions for inner in list_errors(each)]


def find_cause(error: Exception) -> Exception:
    """Return the error of a group that says most.

    A programmer's error comes first, for nothing else would show it; what a user can act on comes before a database
    or a leadership that was lost, which passes.
    """
    errors = list_errors(error)
    mistakes = [each for each in errors if not isinstance(each, MinutebookError)]
    lasting = [each for each in errors if not isinstance(each, DatabaseUnavailableError | LeadershipLostError)]
    return (mistakes or lasting or errors)[0]
