"""flag: a feature flag is on, as the project's provider of OpenFeature says."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crossfade.gates._gate import Answer, Foresight, Gate, GateContext, GateError


class FlagGate(Gate):
    """Hold when a boolean feature flag is true."""

    flag: Annotated[str, Field(min_length=1)] = Field(
        description="The flag's key, as its provider has it.", examples=["normalized-email-live"]
    )
    context: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="Attributes that the flag's rules may look at; its targeting key is the migration's id.",
        examples=[{"environment": "production"}],
    )

    @property
    def label(self) -> str:
        given = ", ".join(f"{name}={value}" for name, value in sorted(self.context.items()))
        return f"flag {self.flag}" + (f" ({given})" if given else "")

    def ask(self, context: GateContext) -> Answer:
        flags = context.settings.flags
        if flags is None:
            raise self._nobody_to_ask()
        from openfeature.exception import ErrorCode
        from openfeature.flag_evaluation import Reason

        from crossfade.gates._flags import evaluate

        found = evaluate(flags, context.root, self.flag, context.migration, self.context, self.label)
        evidence = {
            "provider": flags.file or flags.provider,
            "variant": found.variant,
            "reason": str(found.reason) if found.reason else None,
            "error": str(found.error_code) if found.error_code else None,
        }
        match found.error_code:
            case None if found.value:
                return Answer("holds", "it is true", evidence=evidence)
            case None:
                disabled = found.reason == Reason.DISABLED
                return Answer("waits", "it is disabled" if disabled else "it is false", evidence=evidence)
            case ErrorCode.FLAG_NOT_FOUND:
                return Answer("waits", "there is no such flag yet", evidence=evidence)
            case ErrorCode.TYPE_MISMATCH:
                return Answer("never", "it is not a boolean", evidence=evidence)
            case code:
                raise GateError(f"{self.label} could not be evaluated: {code}", fix="correct the flag at its provider")

    def foresee(self, foresight: Foresight) -> None:
        if foresight.settings.flags is None:
            raise self._nobody_to_ask()

    def _nobody_to_ask(self) -> GateError:
        return GateError(
            f"{self.label}: the project has no provider of feature flags",
            why="without one the gate could not be asked",
            fix="say in crossfade.yaml whom to ask, e.g. `flags: {file: flags.json}`: docs/language.md#flags",
        )
