"""The OpenAPI document, completed: our form of errors, who may ask what, what JSON may hold, an example of each body.

The framework writes what it sees in the routes. What middleware does around them, and what is refused before a model sees it, is
added here, so that a client that is made from the document, or a fuzzer, finds nothing else than what it says.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel

from kinema.serving.access import Access
from kinema.serving.examples import BODIES, PARAMETERS
from kinema.serving.wire import SearchIn

ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": what,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, what in (
        ("4XX", "The request is not what it must be"),
        ("5XX", "The service cannot answer"),
    )
}
PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "field"],
            "properties": {
                "code": {"type": "string", "description": "for programs"},
                "message": {"type": "string", "description": "for people"},
                "field": {"type": ["string", "null"], "description": "what it is about"},
            },
        }
    },
}
_WITHOUT_NUL: Final = "^[^\\u0000]*$"
JSON_SCHEMA: Final[dict[str, Any]] = {
    "title": "JsonValue",
    "description": "JSON as stores can hold it, at every depth: numbers within 64 bits, no NUL characters, at most 32 deep",
    "anyOf": [
        {"type": ["null", "boolean"]},
        {"type": "number", "minimum": -(2**63), "exclusiveMaximum": 2**63},
        {"type": "string", "pattern": _WITHOUT_NUL},
        {"type": "array", "items": {}},
        {"type": "object", "additionalProperties": True},
    ],
}
_READ_BY_ROUTES: Final[tuple[type[BaseModel], ...]] = (SearchIn,)
"""Models of bodies that come in more than one form, so that the framework does not see them."""
_SCHEMES: Final[dict[str, Any]] = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "A key of `kinema keys create`. What it may do is its scopes; an operation names the one that it needs.",
    },
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The same key, or a token (JWT) of the issuer that the service trusts, in the header Authorization.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "kinema_session",
        "description": "A session of the console, see `POST /v1/session`. What changes something needs the header `X-Kinema-Console: 1` too.",
    },
}


def install_document(app: FastAPI, *, access: Access, is_open: bool) -> None:
    """Complete an application's document when it is asked for.

    Args:
        app: With all of its routes.
        access: Which scope an operation needs.
        is_open: It asks for no key.
    """
    made = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = made()
            _complete(found, access, is_open=is_open)
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way the framework documents


def _complete(document: dict[str, Any], access: Access, *, is_open: bool) -> None:
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    schemas["JsonValue"] = JSON_SCHEMA
    for model in _READ_BY_ROUTES:
        schemas.setdefault(model.__name__, model.model_json_schema(ref_template="#/components/schemas/{model}"))
    document["components"]["securitySchemes"] = _SCHEMES
    for path, method, operation in _operations(document):
        operation["responses"].pop("422", None)
        operation["security"] = _security(access, method, path, is_open=is_open)
        _exemplify(operation)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method.upper(), operation


def _security(access: Access, method: str, path: str, *, is_open: bool) -> list[dict[str, list[str]]]:
    """The scope as the role that a key must have; nothing where anybody may ask."""
    needed = access.needed(method, path)
    if needed is None:
        return []
    anybody: list[dict[str, list[str]]] = [{}] if is_open else []
    return [*anybody, *({name: [needed.value]} for name in _SCHEMES)]


def _exemplify(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in PARAMETERS:
            parameter["example"] = PARAMETERS[parameter["name"]]
    given = BODIES.get(operation["operationId"])
    content = operation.get("requestBody", {}).get("content", {})
    if given is not None and "application/json" in content:
        content["application/json"]["example"] = given
