"""Forms of the page, read from their few bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, StringConstraints

from shared.bounds import PlainText

FORM_BYTES_MOST = 8_192
FIELDS_MOST = 10


class SignIn(BaseModel):
    """Login and password as typed; a form with neither is an attempt without a credential."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    login: Annotated[PlainText, StringConstraints(max_length=128)] = ""
    password: Annotated[str, StringConstraints(max_length=1024)] = ""


class Act(BaseModel):
    """What is done to an alert, and why."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    act: Annotated[str, StringConstraints(max_length=40)] = ""
    reason: Annotated[PlainText, StringConstraints(max_length=500)] = ""


def fields_of(body: bytes) -> Mapping[str, str]:
    """Fields of an `application/x-www-form-urlencoded` body; nothing of one that is none."""
    if len(body) > FORM_BYTES_MOST:
        return {}
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MOST))
    except ValueError:
        return {}
