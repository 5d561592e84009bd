"""Who was in the training data of a model, as its card says it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["PeopleGroup"]

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]


class PeopleGroup(BaseModel):
    """How many training patients and images are in a group, such as ages 40–49, or unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    axis: Text
    group: Text
    patients: Count
    images: Count
