"""Which scope a request needs, by method and path. What no rule names needs ``admin``: a new route is closed until it is opened."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kinema.errors import ConfigError
from kinema.serving.keys import Scope

PUBLIC: Final = "public"
_READING: Final = ("GET", "HEAD", "OPTIONS")
_METHODS: Final = (*_READING, "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Rule:
    """Requests that need one scope.

    Attributes:
        methods: In capitals, separated by spaces; ``*`` for all.
        path: ``*`` stands for one segment, ``**`` for any number of them; a final ``/**`` matches without them too.
        scope: Name of a scope, or ``public``.
    """

    methods: str
    path: str
    scope: str


def default_rules(*, metrics_scope: str = "read") -> tuple[Rule, ...]:
    """The table of the service.

    Args:
        metrics_scope: Who may read ``/metrics``: a scope, or ``public`` where the network alone guards it.
    """
    return (
        Rule("GET HEAD", "/health/live", PUBLIC),
        Rule("GET HEAD", "/health/ready", PUBLIC),
        Rule("GET HEAD", "/api/health/live", PUBLIC),
        Rule("GET HEAD", "/api/health/ready", PUBLIC),
        Rule("GET HEAD", "/docs/**", PUBLIC),
        Rule("GET HEAD", "/openapi.json", PUBLIC),
        Rule("GET HEAD", "/", PUBLIC),
        Rule("GET HEAD", "/console/**", PUBLIC),
        Rule("GET HEAD", "/metrics", metrics_scope),
        Rule("GET HEAD POST DELETE", "/v1/session", PUBLIC),
        Rule("*", "/v1/keys/**", "admin"),
        Rule("*", "/v1/models/**", "admin"),
        Rule("*", "/v1/admin/**", "admin"),
        Rule("*", "/v1/users/**/export", "admin"),
        Rule("DELETE", "/v1/users/**", "admin"),
        Rule("DELETE", "/api/user/**", "admin"),
        Rule("DELETE", "/api/users/**", "admin"),
        Rule("POST", "/v1/scenarios/preview", "read"),
        Rule("POST PUT PATCH DELETE", "/v1/scenarios/**", "admin"),
        Rule("POST PUT PATCH DELETE", "/v1/experiments/**", "admin"),
        Rule("GET HEAD", "/v1/health/**", "read" if metrics_scope == PUBLIC else metrics_scope),
        Rule("POST", "/v1/users/*/recommendations", "read"),
        Rule("POST", "/v1/recommendations", "read"),
        Rule("POST", "/v1/items/*/similar", "read"),
        Rule("POST", "/v1/items/*/audience", "read"),
        Rule("POST", "/v1/search", "read"),
        Rule("POST", "/api/session/recommend/**", "read"),
        Rule(" ".join(_READING), "/v1/**", "read"),
        Rule(" ".join(_READING), "/api/**", "read"),
        Rule("POST PUT PATCH DELETE", "/v1/**", "write"),
        Rule("POST PUT PATCH DELETE", "/api/**", "write"),
    )


class Access:
    """A table of rules, the first that matches decides.

    Raises:
        ConfigError: A rule has an unknown scope or method, or a path that does not start with a slash.

    Example:
        >>> access = Access(default_rules())
        >>> access.needed("POST", "/v1/events"), access.needed("GET", "/health/live"), access.needed("GET", "/else")
        (<Scope.WRITE: 'write'>, None, <Scope.ADMIN: 'admin'>)
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        rules = tuple(rules)
        self._scopes = tuple(_scope(rule) for rule in rules)
        self._patterns = {method: _pattern(method, rules) for method in _METHODS}

    def needed(self, method: str, path: str) -> Scope | None:
        """The scope a request needs; None where anybody may ask."""
        pattern = self._patterns.get(method)
        found = None if pattern is None else pattern.fullmatch(path)
        if found is None or found.lastgroup is None:
            return Scope.ADMIN
        return self._scopes[int(found.lastgroup[1:])]


def path_pattern(path: str) -> re.Pattern[str]:
    """A path with ``*`` for one segment and ``**`` for any number, as an expression to match whole.

    Raises:
        ConfigError: It does not start with a slash.

    Example:
        >>> bool(path_pattern("/v1/items/*/media").fullmatch("/v1/items/v1/media"))
        True
    """
    if not path.startswith("/"):
        raise ConfigError(f"a rule's path must start with '/', is '{path}'")
    body, tail = (path[:-3], "(?:/.*)?") if path.endswith("/**") else (path, "")
    segments = {"*": "[^/]+", "**": ".+"}
    return re.compile("/".join(segments.get(one, re.escape(one)) for one in body.split("/")) + tail, re.DOTALL)


def _scope(rule: Rule) -> Scope | None:
    if rule.scope == PUBLIC:
        return None
    if rule.scope not in set(Scope):
        raise ConfigError(f"unknown scope '{rule.scope}' of '{rule.path}'; known: public, {', '.join(Scope)}")
    return Scope(rule.scope)


def _pattern(method: str, rules: tuple[Rule, ...]) -> re.Pattern[str]:
    parts = [
        f"(?P<r{place}>{path_pattern(rule.path).pattern})"
        for place, rule in enumerate(rules)
        if method in _methods(rule)
    ]
    return re.compile("|".join(parts) or r"(?!)", re.DOTALL)


def _methods(rule: Rule) -> tuple[str, ...]:
    if rule.methods == "*":
        return _METHODS
    methods = tuple(rule.methods.split())
    unknown = set(methods) - set(_METHODS)
    if unknown:
        raise ConfigError(f"unknown method '{min(unknown)}' of '{rule.path}'; known: {', '.join(_METHODS)}")
    return methods
