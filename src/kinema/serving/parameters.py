"""Parameters of an address that no route knows are refused: ``?num=5`` would be answered with ten items, and nobody would be told."""

from fastapi import Request

from kinema.errors import did_you_mean
from kinema.serving.problems import Problem


async def known_parameters(request: Request) -> None:
    """A dependency of routes: every parameter of the address is one of the document's.

    Raises:
        Problem: 422, one is unknown; names the nearest and all.
    """
    given = request.query_params.keys()
    if not given:
        return
    operation = request.app.openapi()["paths"].get(request.scope["route"].path, {}).get(request.method.lower())
    if operation is None:
        return
    known = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    for name in given:
        if name not in known:
            told = f"known: {', '.join(known)}" if known else "this path has none"
            raise Problem(422, f"unknown parameter '{name[:80]}'{did_you_mean(name, known)} {told}", field=name[:80])
