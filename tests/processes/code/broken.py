"""A module that cannot be imported."""

import no_such_library  # type: ignore[import-not-found]  # it is not there

echo = no_such_library.echo
