"""Every environment variable: its name, type, default and meaning. Nothing else reads the environment.

A variable is read from `NAME` or from the file that `NAME_FILE` names; an empty value counts as
unset. All problems are named at once, and no message repeats a value: it may be a secret.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainValidator, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config import values

Problem = tuple[str, str]
Profile = Literal["embedded", "development", "test", "production"]
GATES = ("database", "redis", "emailQueue")

_FILE_MAX_BYTES = 64 * 1024
_PRODUCTION_NEEDS = (
    "SECRET_KEY",
    "ENCRYPTION_KEYS",
    "DATABASE_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "EMAIL_URL",
    "DEFAULT_FROM_EMAIL",
    "PUBLIC_URL",
    "ALLOWED_HOSTS",
)
_DEVELOPMENT_NEEDS = ("DATABASE_URL", "REDIS_URL")
_EMBEDDED_REFUSES = ("DATABASE_URL", "DATABASE_REPLICA_URL", "REDIS_URL", "CELERY_BROKER_URL", "EMAIL_URL")
_SECRET_KEY_LENGTH = 50
_SECRET_KEY_DISTINCT = 5
_STRONG = f"{_SECRET_KEY_LENGTH} characters, {_SECRET_KEY_DISTINCT} of them different, and no django-insecure in front"

_Names = Annotated[tuple[str, ...], PlainValidator(values.separated)]
_Origin = Annotated[str, PlainValidator(values.origin)]
_Origins = Annotated[tuple[str, ...], PlainValidator(values.listed(values.origin))]
_Url = Annotated[str, PlainValidator(values.endpoint)]
_Port = Annotated[int, Field(ge=1, le=65535)]
_Days = Annotated[int, Field(ge=1, le=3650)]
_Positive = Annotated[int, Field(ge=1, le=1_000_000_000)]
_Rate = Annotated[values.Rate, PlainValidator(values.rate)]
_Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]


class SettingsProblem(Exception):
    """The environment does not describe a service that may start. `problems` pairs names with reasons."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Collect the problems, in the order in which they are to be read."""
        self.problems = list(problems)
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return one readable message that names every setting."""
        lines = [f"  {name}: {reason}" for name, reason in self.problems]
        return "\n".join(["authsvc cannot start. These settings need attention:", *lines])


class Variables(PydanticBaseSettingsSource):
    """Reads `NAME`, or the file named by `NAME_FILE`, and remembers what could not be read."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        """Read from `environ`."""
        super().__init__(settings_cls)
        self.environ = environ
        self.problems: list[Problem] = []

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the text of one variable, `None` where it is unset."""
        del field
        direct = self.environ.get(field_name, "").strip()
        path = self.environ.get(f"{field_name}_FILE", "").strip()
        if direct and path:
            self.problems.append((field_name, f"is set twice, here and by {field_name}_FILE; keep one"))
            return None, field_name, False
        return (self._content(field_name, path) if path else direct) or None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the texts of all variables that are set."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: text for name, text in found.items() if text is not None}

    def _content(self, name: str, path: str) -> str:
        try:
            with Path(path).open("rb") as file:
                content = file.read(_FILE_MAX_BYTES + 1)
            if len(content) <= _FILE_MAX_BYTES:
                return content.decode().strip()
        except OSError as reason:
            self.problems.append((f"{name}_FILE", f"cannot be read ({reason.strerror})"))
            return ""
        except ValueError:
            pass
        self.problems.append((f"{name}_FILE", "is not a text file of at most 64 KiB"))
        return ""


class Environment(BaseSettings):
    """The settings of one process. Field names are the variables' names."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, case_sensitive=True, validate_default=False)

    @classmethod
    def settings_customise_sources(  # noqa: D102 - `load` alone reads, through `Variables`
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    APP_ENV: Profile = Field("embedded", description="The profile.")
    SECRETS_BACKEND: Annotated[str, PlainValidator(values.secrets_backend)] = Field(
        "env", description="Where secrets come from: env (variables and files)."
    )

    # Secrets
    SECRET_KEY: SecretStr | None = Field(None, description="Signs Django's own cookies and forms.")
    ENCRYPTION_KEYS: Annotated[tuple[bytes, ...], PlainValidator(values.encryption_keys)] = Field(
        (), repr=False, description="Keys at rest, each base64url of 32 bytes; the first one encrypts, any one opens."
    )

    # Servers
    DATABASE_URL: Annotated[values.Database | None, PlainValidator(values.database)] = Field(
        None, description="postgresql:// URL; parameters of libpq may follow (`options` replaces our timeouts)."
    )
    DATABASE_REPLICA_URL: Annotated[values.Database | None, PlainValidator(values.database)] = Field(
        None, description="postgresql:// URL of a read replica."
    )
    REDIS_URL: Annotated[str, PlainValidator(values.redis)] = Field(
        "", repr=False, description="redis://, rediss:// or unix:// URL of the cache."
    )
    CELERY_BROKER_URL: Annotated[str, PlainValidator(values.broker)] = Field(
        "", repr=False, description="URL of the job queue: Redis or RabbitMQ. REDIS_URL outside production."
    )
    EMAIL_URL: Annotated[values.Mailer | None, PlainValidator(values.mailer)] = Field(
        None, description="smtp://user:password@host:port, smtps://, console:// or file:///folder."
    )
    DEFAULT_FROM_EMAIL: Annotated[str, PlainValidator(values.sender)] = Field(
        "", description="Sender of every mail, alone or as `Name <address>`."
    )

    # Addresses
    PUBLIC_URL: _Origin = Field("", description="Where the service is reached; base of links, never from a request.")
    FRONTEND_URL: _Origin = Field("", description="Base of the links in mails, where a front end has their pages.")
    ALLOWED_HOSTS: Annotated[tuple[str, ...], PlainValidator(values.listed(values.allowed_host))] = Field(
        (), description="Host names that requests may name."
    )
    TRUSTED_PROXIES: int = Field(0, ge=0, le=10, description="Hops whose X-Forwarded-For and -Proto are believed.")
    CORS_ALLOWED_ORIGINS: _Origins = Field((), description="Origins of browser front ends.")
    REDIRECT_ALLOWLIST: Annotated[tuple[str, ...], PlainValidator(values.listed(values.redirect_target))] = Field(
        (), description="URIs that social sign-in may return to, compared exactly."
    )
    PORT: _Port = Field(8000, description="Where this process listens.")
    WEB_PROCESSES: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="Processes of one `serve`: 2 in production, else 1."
    )

    # Operations
    METRICS_TOKEN: Annotated[SecretStr | None, PlainValidator(values.metrics_token)] = Field(
        None, description="Bearer token that /metrics asks for in production."
    )
    WORKER_METRICS_PORT: _Port | None = Field(None, description="Where a worker serves /metrics; unset: nowhere.")
    READINESS_GATES: _Names = Field((), description="Parts whose failure makes /readyz answer 503; unset: all.")
    LOG_LEVEL: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(lambda text: str(text).upper())
    ] = Field("INFO", description="The least that is logged.")
    LOG_FORMAT: Literal["json", "pretty"] | None = Field(
        None, description="json in production and test, pretty in embedded and development."
    )
    OTEL_SDK_DISABLED: bool = Field(False, description="Switches tracing off.")
    OTEL_SERVICE_NAME: str = Field("authsvc", description="The service's name in traces.")
    OTEL_RESOURCE_ATTRIBUTES: str = Field("", description="More attributes: key=value, comma-separated.")
    OTEL_EXPORTER_OTLP_ENDPOINT: _Url = Field("", description="Collector of traces; unset: none are sent.")
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: _Url = Field("", description="The same for traces alone, as a full URL.")
    OTEL_EXPORTER_OTLP_PROTOCOL: Literal["http/protobuf"] = Field("http/protobuf", description="How traces are sent.")
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: Literal["http/protobuf"] = Field(
        "http/protobuf", description="The same for traces alone."
    )
    OTEL_EXPORTER_OTLP_HEADERS: SecretStr | None = Field(None, description="Headers for the collector.")
    OTEL_EXPORTER_OTLP_TIMEOUT: int = Field(10_000, ge=1, description="Milliseconds for one export.")
    OTEL_TRACES_EXPORTER: Literal["otlp", "console", "none"] = Field("otlp", description="Where traces go.")
    OTEL_TRACES_SAMPLER: _Sampler = Field("parentbased_always_on", description="Which traces are kept.")
    OTEL_TRACES_SAMPLER_ARG: float = Field(1.0, ge=0, le=1, description="Share of traces that a ratio sampler keeps.")
    OTEL_PROPAGATORS: _Names = Field(("tracecontext", "baggage"), description="How the context is passed on.")

    # Tokens and sessions
    JWT_ISSUER: Annotated[str, PlainValidator(values.secure_url)] = Field("", description="PUBLIC_URL where unset.")
    JWT_AUDIENCE: str = Field("", max_length=255, description="Audience of access tokens; PUBLIC_URL where unset.")
    JWT_ALGORITHM: Annotated[str, PlainValidator(values.jwt_algorithm)] = Field("ES256", description="Of new keys.")
    ACCESS_TOKEN_MINUTES: int = Field(15, ge=1, le=60, description="Life of an access token.")
    REFRESH_IDLE_DAYS: int = Field(7, ge=1, le=365, description="A session ends after so long without a refresh.")
    SESSION_MAX_DAYS: int = Field(30, ge=1, le=365, description="A session ends after so long in any case.")
    SESSIONS_PER_USER: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Sessions of one person at once; a sign-in beyond them ends the oldest. Unset: any number."
    )
    STEP_UP_SECONDS: int = Field(600, ge=1, le=86_400, description="How long a fresh proof of identity counts.")

    # People
    PASSWORD_POLICY: Literal["strict", "hybrid", "nist"] = Field("strict", description="Which passwords are taken.")
    PASSWORD_BREACH_CHECK: bool = Field(
        False, description="Ask Have I Been Pwned about new passwords, by k-anonymity; if it is away, any is taken."
    )
    REGISTRATION_NEUTRAL: bool = Field(True, description="Answers of registration don't tell who has an account.")
    UNVERIFIED_TTL_DAYS: _Days = Field(7, description="Unverified accounts go after so long.")
    DELETION_GRACE_DAYS: _Days = Field(30, description="Deleted accounts can be restored for so long.")

    # Limits
    LIMIT_GLOBAL: _Rate = Field(values.Rate(100, 900), description="Requests of one network, as 100/15m.")
    LIMIT_SIGNIN: _Rate = Field(values.Rate(5, 900), description="Failed sign-ins of one network, as 5/15m.")
    LIMIT_MAIL: _Rate = Field(values.Rate(3, 3600), description="Mails to one address of one kind, as 3/1h.")
    LOCKOUT_FAILURES: _Positive = Field(5, description="Wrong passwords that lock an account for a network.")
    LOCKOUT_MINUTES: int = Field(30, ge=1, le=10_080, description="How long such a lock holds.")
    LOCKOUT_CAP: _Positive = Field(100, description="Wrong passwords in a row that disable the password.")
    HASH_POOL_SIZE: Annotated[int, Field(ge=1, le=256)] | None = Field(
        None,
        description="Password hashes at once per process; idle ones lend theirs. Unset: CPU limit ÷ web processes.",
    )
    HASH_WAIT_SECONDS: float = Field(3.0, gt=0, le=60, description="How long a hash may wait for its turn.")

    # Browsers and providers
    HSTS_PRELOAD: bool = Field(True, description="Ask for the whole domain to be preloaded as https only.")
    WEBAUTHN_RP_ID: Annotated[str, PlainValidator(values.host_name)] = Field("", description="From PUBLIC_URL.")
    WEBAUTHN_ORIGINS: _Origins = Field((), description="Origins that passkeys may be used on; from PUBLIC_URL.")
    OIDC_PROVIDERS: Annotated[tuple[values.Provider, ...], PlainValidator(values.providers)] = Field(
        (), description="JSON list of OpenID Connect providers."
    )

    @property
    def is_production(self) -> bool:
        """Tell whether this is the profile that serves the world."""
        return self.APP_ENV == "production"

    @property
    def is_embedded(self) -> bool:
        """Tell whether one process is everything."""
        return self.APP_ENV == "embedded"

    @property
    def public_url(self) -> str:
        """Return the base of every link, without a trailing slash."""
        return self.PUBLIC_URL or f"http://127.0.0.1:{self.PORT}"

    @property
    def is_loopback_http(self) -> bool:
        """Tell whether the service is reached by plain HTTP on this machine alone."""
        return self.public_url.startswith("http://") and values.is_loopback(self.public_url)

    @property
    def log_format(self) -> Literal["json", "pretty"]:
        """Return how log records are written."""
        return self.LOG_FORMAT or ("pretty" if self.APP_ENV in {"embedded", "development"} else "json")

    @property
    def web_processes(self) -> int:
        """Return how many processes one `serve` starts."""
        return self.WEB_PROCESSES or (2 if self.is_production else 1)


def load(environ: Mapping[str, str] | None = None) -> Environment:
    """Return the validated settings of an environment, of this process's where none is given.

    Raises `SettingsProblem` with all problems at once.
    """
    variables = Variables(Environment, os.environ if environ is None else environ)
    texts = variables()
    unreadable = variables.problems
    env, malformed = _parsed(texts)
    wrong = {name.removesuffix("_FILE") for name, _reason in [*unreadable, *malformed]}
    related = [(name, reason) for name, reason in _contradictions(env, wrong) if name not in wrong]
    problems = [*unreadable, *malformed, *related]
    if problems:
        order = {name: place for place, name in enumerate(Environment.model_fields)}
        raise SettingsProblem(sorted(problems, key=lambda problem: order[problem[0].removesuffix("_FILE")]))
    return env


def _parsed(texts: Mapping[str, Any]) -> tuple[Environment, list[Problem]]:
    """Return the settings, with the default in place of each value that cannot be read, and what is wrong."""
    try:
        return Environment(**texts), []
    except ValidationError as reason:
        problems = {
            str(error["loc"][0]): error["msg"].removeprefix("Value error, ")
            for error in reason.errors(include_url=False, include_input=False, include_context=False)
        }
    readable = {name: text for name, text in texts.items() if name not in problems}
    env = Environment(**readable)
    return env, [(name, f"{text[:1].lower()}{text[1:]}") for name, text in problems.items()]


def _contradictions(env: Environment, wrong: set[str]) -> Iterator[Problem]:
    """Yield what no single variable shows. Without a valid profile only what holds in all of them."""
    yield from _relations(env)
    if "APP_ENV" not in wrong:
        yield from _missing(env)
        yield from _RULES[env.APP_ENV](env)


def _missing(env: Environment) -> Iterator[Problem]:
    needed = {"production": _PRODUCTION_NEEDS, "development": _DEVELOPMENT_NEEDS}.get(env.APP_ENV, ())
    return ((name, f"is missing; {env.APP_ENV} needs it") for name in needed if not getattr(env, name))


def _relations(env: Environment) -> Iterator[Problem]:
    if env.REFRESH_IDLE_DAYS > env.SESSION_MAX_DAYS:
        yield "REFRESH_IDLE_DAYS", "is longer than SESSION_MAX_DAYS"
    if env.LOCKOUT_CAP < env.LOCKOUT_FAILURES:
        yield "LOCKOUT_CAP", "is lower than LOCKOUT_FAILURES"
    if env.WORKER_METRICS_PORT == env.PORT:
        yield "WORKER_METRICS_PORT", "is the same as PORT"
    unknown = [name for name in env.READINESS_GATES if name not in GATES]
    if unknown:
        yield "READINESS_GATES", f"knows only {', '.join(GATES)}"
    elif env.is_embedded and "redis" in env.READINESS_GATES:
        yield "READINESS_GATES", "names redis, which embedded mode does not have"
    if env.DATABASE_REPLICA_URL and not env.DATABASE_URL:
        yield "DATABASE_REPLICA_URL", "is set without DATABASE_URL"


def _embedded_rules(env: Environment) -> Iterator[Problem]:
    for name in _EMBEDDED_REFUSES:
        if getattr(env, name):
            yield name, "must not be set: embedded mode brings its own; for servers of yours set APP_ENV"
    if not values.is_loopback(env.public_url):
        yield "PUBLIC_URL", "must be on loopback: embedded mode serves this machine only"
    if "*" in env.ALLOWED_HOSTS:
        yield "ALLOWED_HOSTS", "must not be *: any website could reach this machine under a name of its own"
    if env.web_processes != 1:
        yield "WEB_PROCESSES", "must be 1: embedded mode is one process"


def _production_rules(env: Environment) -> Iterator[Problem]:
    if env.SECRET_KEY and _is_weak(env.SECRET_KEY.get_secret_value()):
        yield "SECRET_KEY", f"is weak: {_STRONG}"
    for name in ("PUBLIC_URL", "FRONTEND_URL"):
        url = getattr(env, name)
        if url.startswith("http://") and not values.is_loopback(url):
            yield name, "must be https except on loopback: links carry secrets"
    if "*" in env.ALLOWED_HOSTS:
        yield "ALLOWED_HOSTS", "must name hosts; * lets a request choose its own"
    if env.CELERY_BROKER_URL.startswith("memory:"):
        yield "CELERY_BROKER_URL", "must be a server: memory:// loses jobs and reaches no other process"
    if env.EMAIL_URL and env.EMAIL_URL.scheme == "console":
        yield "EMAIL_URL", "must send or store mail: console:// would write links with live tokens to the log"


def _no_rules(_env: Environment) -> Iterator[Problem]:
    return iter(())


def _is_weak(key: str) -> bool:
    return len(key) < _SECRET_KEY_LENGTH or len(set(key)) < _SECRET_KEY_DISTINCT or key.startswith("django-insecure")


_RULES: dict[Profile, Callable[[Environment], Iterator[Problem]]] = {
    "embedded": _embedded_rules,
    "development": _no_rules,
    "test": _no_rules,
    "production": _production_rules,
}
