"""What the paths of gorse share."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Query, Request

from kinema.schema import EventKind

MOST: Final = 1000
"""Rows of one answer; who asks for more gets so many, and a cursor."""
BATCHES: Final = 10
"""How many of our batches fit into one of gorse's, whose clients send thousands at once."""
Route = TypeVar("Route", bound=Callable[..., Any])


async def _count(number: Annotated[int, Query(alias="n", ge=0, description="how many")] = 10) -> int:
    return min(number, MOST)


async def _cursor(
    cursor: Annotated[str, Query(max_length=40, pattern=r"^[0-9]{0,18}$", description="of an earlier page")] = "",
    capital: Annotated[
        str, Query(alias="Cursor", max_length=40, pattern=r"^[0-9]{0,18}$", include_in_schema=False)
    ] = "",
) -> int:
    return int(cursor or capital or -1)


async def _kinds(request: Request) -> Mapping[str, EventKind]:
    found: Mapping[str, EventKind] = request.app.state.feedback_kinds
    return found


Count = Annotated[int, Depends(_count)]
After = Annotated[int, Depends(_cursor)]
Offset = Annotated[int, Query(ge=0, le=1_000_000, description="how many to leave out first")]
Kinds = Annotated[Mapping[str, EventKind], Depends(_kinds)]


def at(router: APIRouter, method: str, path: str, *, summary: str) -> Callable[[Route], Route]:
    """Answer a path with and without a slash at its end: clients of gorse write both."""

    def add(route: Route) -> Route:
        router.add_api_route(path, route, methods=[method], summary=summary)
        router.add_api_route(f"{path}/", route, methods=[method], include_in_schema=False)
        return route

    return add
