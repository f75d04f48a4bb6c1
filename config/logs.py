"""How log records are written: one line each on standard output, as JSON or for people."""

import logging
import sys
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Each record would look for these, and no line shows them ("Optimization" in Python's logging HOWTO).
logging._srcfile = None  # noqa: SLF001 - its documented switch
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class Failed(logging.Filter):
    """Lets only records of exceptions through."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether an exception is told of."""
        return bool(record.exc_info)


def configuration(*, level: str, style: Literal["json", "pretty"]) -> dict[str, Any]:
    """Return the `dictConfig` of the process."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _shared(),
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(style)],
            },
        },
        "filters": {"failed": {"()": Failed}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "line"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # The access log has every request; Django's own adds to it only what failed here.
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            "django.request": {"filters": ["failed"]},
            "celery": {"level": "WARNING"},
            "kombu": {"level": "WARNING"},
            "_granian": {"handlers": [], "propagate": True},
        },
    }


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _without_request,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    ]


def _rendering(style: Literal["json", "pretty"]) -> list[Processor]:
    """Return the last steps. Tracebacks come without local variables: those hold passwords and tokens."""
    if style == "pretty":
        return [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(transformer),
        structlog.processors.JSONRenderer(serializer=_json),
    ]


def _without_request(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop Django's request object: its text has the query string, where a token may be."""
    event.pop("request", None)
    return event


def _json(event: EventDict, **_options: object) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
