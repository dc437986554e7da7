"""What a model says to a mistake. Its texts are ours and hold no value."""

import pytest
from pydantic import ValidationError


def mistake(model, **fields):
    """The first message about these fields; fails when there is none."""
    with pytest.raises(ValidationError) as caught:
        model(**fields)
    return caught.value.errors(include_input=False, include_url=False)[0]["msg"]
