"""From what a client asks for to what a job does: presets looked up, overrides merged, times within bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json

from services.api import problems
from services.api.bodies import field_errors
from services.api.destinations import Destinations
from services.api.problems import FieldError
from shared.schema.jobs import JobSpec, JobSubmission
from shared.schema.operations import AnyOperation, input_names, with_names
from shared.schema.options import JobOptions
from shared.schema.presets import PRESETS, Preset
from shared.schema.webhooks import OwnWebhook, WebhookTarget, new_secret
from shared.settings import Settings
from shared.store.presets import Presets
from shared.store.records import WebhookOrder

_DAY_SECONDS = 86_400
_BY_NAME: TypeAdapter[dict[str, AnyOperation]] = TypeAdapter(dict[str, AnyOperation])
# What an override leaves as it is: the one says which operation it is for, the other what its parameters mean.
_FIXED = ("op", "name")


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to be made: what it does, and how it is treated."""

    spec: JobSpec
    options: JobOptions
    webhook: WebhookOrder | None = None


class Submissions:
    """Resolves what clients ask for."""

    def __init__(self, presets: Presets, destinations: Destinations, settings: Settings) -> None:
        self._presets = presets
        self._destinations = destinations
        self._longest_delay = timedelta(days=settings.max_delay_days)
        self._longest_keep = round(settings.keep_artifacts_days * _DAY_SECONDS)

    async def resolved(self, asked: JobSubmission, *, key_id: UUID | None, within: Sequence[str] = ()) -> Submission:
        """The job that is asked for; `within` is the path to the submission in the body.

        Raises:
            ProblemError: 422, the preset is not there, or a value does not go with it or with the settings.
        """
        errors = list(self._out_of_bounds(asked, within))
        operations = asked.operations
        if asked.preset is not None:
            preset = await self.preset(key_id, asked.preset)
            if preset is None:
                detail = f"There is no preset {asked.preset!r}; GET /api/presets lists those that there are."
                errors.append(FieldError.at("body", [*within, "preset"], detail))
            else:
                operations, wrong = overridden(preset, asked.overrides or {}, [*within, "overrides"])
                errors += wrong
        if missing := sorted(input_names(operations or ()) - asked.inputs.keys()):
            detail = f"The operations name inputs that are not in `inputs`: {', '.join(missing)}."
            errors.append(FieldError.at("body", [*within, "inputs"], detail))
        if errors or operations is None:
            raise problems.invalid(errors)
        return Submission(
            # Valid as they stand: their names are those that they have.
            JobSpec.model_construct(operations=operations, priority=asked.priority),
            JobOptions.model_construct(
                preset=asked.preset,
                metadata=asked.metadata,
                not_before=asked.not_before,
                expires_in=asked.expires_in,
            ),
            self.webhook(asked.webhook, within),
        )

    def webhook(self, target: WebhookTarget | None, within: Sequence[str]) -> WebhookOrder | None:
        """A job's or a batch's webhook with its secret, which is made where the client leaves it out.

        Raises:
            ProblemError: 422, its server is within a network.
        """
        if target is None:
            return None
        if errors := self._destinations.errors(target.url, [*within, "webhook", "url"]):
            raise problems.invalid(errors)
        return WebhookOrder(target, target.secret or new_secret())

    async def preset(self, key_id: UUID | None, name: str) -> Preset | None:
        """A built-in preset, or one of the key's own."""
        if name in PRESETS:
            return PRESETS[name]
        stored = await self._presets.get(key_id, name)
        return None if stored is None else stored.preset

    def _out_of_bounds(self, asked: JobSubmission, within: Sequence[str]) -> Sequence[FieldError]:
        errors = []
        if asked.not_before is not None and asked.not_before - datetime.now(UTC) > self._longest_delay:
            days = self._longest_delay / timedelta(days=1)
            detail = f"A job can begin {days:g} days from now at the latest."
            errors.append(FieldError.at("body", [*within, "not_before"], detail))
        if asked.expires_in is not None and self._longest_keep and asked.expires_in > self._longest_keep:
            detail = f"Results are kept for {self._longest_keep} seconds at most here."
            errors.append(FieldError.at("body", [*within, "expires_in"], detail))
        return errors


def shown_once(webhook_id: UUID | None, order: WebhookOrder | None) -> OwnWebhook | None:
    """A webhook as the answer to its submission shows it: with the secret."""
    if webhook_id is None or order is None:
        return None
    return OwnWebhook(id=webhook_id, url=order.target.url, secret=order.secret)


def overridden(
    preset: Preset, overrides: dict[str, dict[str, JsonValue]], within: Sequence[str | int]
) -> tuple[tuple[AnyOperation, ...], Sequence[FieldError]]:
    """A preset's operations, with the parameters that overrides give them, and what is wrong with these."""
    operations = {str(operation.name): operation for operation in with_names(preset.operations)}
    errors: list[FieldError] = []
    for name, changes in overrides.items():
        if name not in operations:
            known = ", ".join(map(repr, operations))
            detail = f"The preset {preset.name!r} has no operation of this name; it has {known}."
            errors.append(FieldError.at("body", [*within, name], detail))
            continue
        fixed = [field for field in _FIXED if field in changes]
        if fixed:
            detail = "An override changes parameters; this stays as the preset has it."
            errors += (FieldError.at("body", [*within, name, field], detail) for field in fixed)
            continue
        # Where a format changes, so do the defaults.
        merged = {name: operations[name].stated() | changes}
        try:
            operations |= _BY_NAME.validate_json(to_json(merged, inf_nan_mode="constants"), strict=True)
        except ValidationError as error:
            errors += field_errors(error, merged, within)
    return tuple(operations.values()), errors
