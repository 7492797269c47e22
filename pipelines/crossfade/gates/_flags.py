"""Asks a provider of OpenFeature for one flag; nothing of it is imported before that."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossfade.gates._gate import GateError, GateUnanswered
from crossfade.spec.flags import Flags

if TYPE_CHECKING:
    from openfeature.client import OpenFeatureClient
    from openfeature.flag_evaluation import FlagEvaluationDetails
    from openfeature.provider import FeatureProvider  # pyright: ignore[reportMissingTypeStubs]

_DOMAIN = "crossfade"  # OpenFeature's word for the clients that share a provider
_one_at_a_time = threading.Lock()  # the domain is the process's


def evaluate(
    flags: Flags, root: Path, flag: str, migration: str, context: Mapping[str, str], what: str
) -> FlagEvaluationDetails[bool]:
    """The flag's boolean, or why there is none, as OpenFeature tells it.

    migration: the key by which rules may target. what: who asks, to begin an error with. Raises GateUnanswered when the
    provider is not ready, GateError when there is none to ask.
    """
    from openfeature.evaluation_context import EvaluationContext  # pyright: ignore[reportMissingTypeStubs]

    provider = _provider(flags, root, what)
    with _one_at_a_time, _client(provider, what) as client:
        return client.get_boolean_details(flag, False, EvaluationContext(migration, dict(context)))


@contextmanager
def _client(provider: FeatureProvider, what: str) -> Generator[OpenFeatureClient]:
    from openfeature import api
    from openfeature.provider.no_op_provider import NoOpProvider  # pyright: ignore[reportMissingTypeStubs]

    try:
        api.set_provider_and_wait(provider, _DOMAIN)
    except Exception as error:
        # Whatever a provider raises may hold what it connects with: only its kind is told.
        with suppress(Exception):
            provider.shutdown()
        raise GateUnanswered(
            f"{what}: the provider of feature flags does not answer ({type(error).__name__})",
            why="nothing was learnt, so the gate neither holds nor fails",
            fix="check `flags` in crossfade.yaml and that the provider can be reached",
        ) from None
    try:
        yield api.get_client(_DOMAIN)
    finally:
        api.set_provider(NoOpProvider(), _DOMAIN)  # which shuts ours down


def _provider(flags: Flags, root: Path, what: str) -> FeatureProvider:
    if flags.file is not None:
        return _of_file(root / flags.file, what)
    assert flags.provider is not None
    module, _, name = flags.provider.partition(":")
    options = {key: _from_environment(value, what) for key, value in flags.options.items()}
    try:
        made: FeatureProvider = getattr(importlib.import_module(module), name)(**options)
    except Exception as error:
        raise GateError(
            f"{what}: the provider {flags.provider} cannot be made: {type(error).__name__}",
            why="its package may be missing here, or it takes other options",
            fix="install it beside crossfade, or correct `flags` in crossfade.yaml",
        ) from None
    return made


def _of_file(path: Path, what: str) -> FeatureProvider:
    from openfeature.contrib.provider.flagd import FlagdProvider  # pyright: ignore[reportMissingTypeStubs]
    from openfeature.contrib.provider.flagd.config import ResolverType  # pyright: ignore[reportMissingTypeStubs]

    if not path.is_file():
        raise GateError(
            f"{what}: there is no file {path.name} in the project",
            why="crossfade.yaml says that feature flags stand there",
            fix="write it, or correct `flags` in crossfade.yaml",
        )
    return FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path))


def _from_environment(value: Any, what: str) -> Any:
    if not (isinstance(value, str) and value.startswith("env:")):
        return value
    name = value.removeprefix("env:")
    if name not in os.environ:
        raise GateError(f"{what}: the environment variable {name} is not set", fix=f"export {name}=...")
    return os.environ[name]
