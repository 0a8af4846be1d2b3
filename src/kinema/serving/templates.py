"""The template of the route that answered, such as ``/v1/users/{user_id}``: what logs and metrics name instead of a path.

A path has ids of people in it, and a metric with a value for each would grow without end.
"""

from typing import Any, Final

from starlette.types import Scope

NO_ROUTE: Final = "(none)"


def route_of(scope: Scope) -> str:
    """Template of the route a finished request took; ``(none)`` where no route matched or the request never got there."""
    context = scope.get("fastapi", {}).get("effective_route_context")  # a router included under a prefix
    route = context if context is not None else scope.get("route")
    if route is not None:
        return str(route.path)
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return NO_ROUTE
    for one in getattr(scope.get("app"), "routes", ()):  # a plain route of Starlette leaves only its function
        if _function(one) is endpoint:
            return str(one.path)
    return NO_ROUTE


def _function(route: Any) -> Any:
    return getattr(route, "endpoint", None) or getattr(route, "app", None)
