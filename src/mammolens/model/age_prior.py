"""The effect of a patient's age on the odds of malignancy: a part of a model's card."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["AgePrior", "is_usable_age"]

_YOUNGEST, _OLDEST = 15.0, 110.0
"""Ages in years outside of which a value is taken as an error, such as the 0 of an empty field.
Chosen by hand; not tuned. A wider range would let such errors change P(malignant)."""


def is_usable_age(age_years: float | None) -> bool:
    """Say whether an age in years is plausible for a patient of mammography (15–110)."""
    return age_years is not None and _YOUNGEST <= age_years <= _OLDEST


class AgePrior(BaseModel):
    """How the odds of malignancy change with the patient's age, in addition to the pictures.

    The graph does not include it. The caller multiplies the odds of P(malignant) from the graph by
    the exponential of `log_odds`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    log_odds_per_decade: float = Field(
        description="added to the log-odds (natural logarithm) for each ten years"
    )
    low: float | None = Field(None, description="lower end of its 95 % interval over patients")
    high: float | None = Field(None, description="upper end of its 95 % interval over patients")
    centre_years: float = Field(gt=0, description="age at which nothing is added")
    youngest_years: float = Field(gt=0, description="a lower age counts as this one")
    oldest_years: float = Field(description="a higher age counts as this one")
    fitted_on: str = Field(min_length=1, description="the data that it was fitted on, with split")
    n: int = Field(ge=0, description="images of patients of known age that it was fitted on")

    @model_validator(mode="after")
    def _ordered(self) -> AgePrior:
        if not self.youngest_years < self.centre_years < self.oldest_years:
            raise ValueError("youngest_years < centre_years < oldest_years is needed")
        return self

    def log_odds(self, age_years: float | None) -> float | None:
        """Give what an age adds to the log-odds of malignancy; ``None`` if the age is unknown.

        An age that is not plausible (`is_usable_age`), such as the 0 of an empty field, counts as
        unknown.

        Examples
        --------
        >>> prior = AgePrior(
        ...     log_odds_per_decade=0.4, centre_years=60, youngest_years=35, oldest_years=85,
        ...     fitted_on="an example", n=100,
        ... )
        >>> prior.log_odds(75), prior.log_odds(99), prior.log_odds(0)
        (0.6, 1.0, None)
        """
        if age_years is None or not is_usable_age(age_years):
            return None
        bounded = min(max(age_years, self.youngest_years), self.oldest_years)
        return self.log_odds_per_decade * (bounded - self.centre_years) / 10.0
