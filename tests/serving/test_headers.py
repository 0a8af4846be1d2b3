import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.responses import HTMLResponse, PlainTextResponse

from kinema.errors import ConfigError
from kinema.serving.headers import API_POLICY, PAGE_POLICY, SecurityHeaders, allow_origins, check_origins, page_policy


def service(**options):
    app = FastAPI()

    @app.get("/v1/items")
    async def items() -> list[str]:
        return []

    @app.get("/console")
    async def console() -> HTMLResponse:
        return HTMLResponse("<p>page</p>")

    @app.get("/own")
    async def own() -> PlainTextResponse:
        told = {
            "Content-Security-Policy": "default-src 'self'",
            "Cache-Control": "max-age=60",
            "X-Frame-Options": "SAMEORIGIN",
        }
        return PlainTextResponse("x", headers=told)

    return TestClient(SecurityHeaders(app, **options))


def test_answers_tell_browsers_what_not_to_do():
    headers = service().get("/v1/items").headers
    assert headers["content-security-policy"] == API_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers


def test_pages_run_their_own_scripts_and_no_others():
    headers = service().get("/console").headers
    assert headers["content-security-policy"] == PAGE_POLICY
    assert "'unsafe" not in PAGE_POLICY
    assert "frame-ancestors 'none'" in PAGE_POLICY
    assert "cache-control" not in headers


def test_errors_have_them_too():
    answer = service().get("/nowhere")
    assert (answer.status_code, answer.headers["x-content-type-options"]) == (404, "nosniff")


def test_what_an_answer_says_itself_stays():
    headers = service().get("/own").headers
    assert headers["content-security-policy"] == "default-src 'self'"
    assert headers["cache-control"] == "max-age=60"
    assert headers.get_list("x-frame-options") == ["SAMEORIGIN"]


def test_tls_in_front_is_told_when_it_is_there():
    assert service(tls=True).get("/v1/items").headers["strict-transport-security"].startswith("max-age=31536000")


def test_a_page_can_have_a_policy_of_its_own():
    headers = (
        service(policies={"/docs": page_policy("<script>a</script>", origins=["https://cdn.example"])})
        .get("/docs")
        .headers
    )
    policy = headers["content-security-policy"]
    assert "script-src 'self' https://cdn.example 'sha256-" in policy
    assert "script-src" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


def asked(origins, **options):
    app = FastAPI()

    @app.get("/v1/items")
    async def items() -> list[str]:
        return []

    return TestClient(allow_origins(app, origins)).request(
        options.get("method", "GET"),
        "/v1/items",
        headers={"origin": "https://shop.example", **options.get("headers", {})},
    )


def test_other_sites_may_not_ask_by_default():
    assert "access-control-allow-origin" not in asked([]).headers


def test_sites_that_are_listed_may_ask():
    wanted = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    answer = asked(["https://shop.example"], method="OPTIONS", headers=wanted)
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-credentials" not in answer.headers
    assert "access-control-allow-origin" not in asked(["https://other.example"]).headers


@pytest.mark.parametrize(
    "origin", ["*", "https://*.example", "shop.example", "https://shop.example/", "file:///x", "https://", "null"]
)
def test_what_is_no_origin_is_refused(origin):
    with pytest.raises(ConfigError, match=r"an allowed origin must be like 'https://shop\.example', is"):
        check_origins([origin])
