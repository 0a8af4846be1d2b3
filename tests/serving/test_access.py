import pytest

from kinema.errors import ConfigError
from kinema.serving.access import Access, Rule, default_rules, path_pattern
from kinema.serving.keys import Scope

ACCESS = Access(default_rules())


@pytest.mark.parametrize(
    ("scope", "requests"),
    [
        (
            None,
            [
                "GET /health/live",
                "HEAD /health/ready",
                "GET /api/health/live",
                "GET /docs",
                "GET /docs/oauth2-redirect",
                "GET /openapi.json",
                "GET /",
                "GET /console/app.js",
                "GET /v1/session",
                "POST /v1/session",
                "DELETE /v1/session",
            ],
        ),
        (
            "read",
            [
                "GET /v1/users/u1/recommendations",
                "POST /v1/users/u1/recommendations",
                "POST /v1/recommendations",
                "GET /v1/search",
                "POST /v1/search",
                "GET /v1/items/v1/similar",
                "GET /v1/items/v1/audience",
                "GET /v1/users/u1",
                "GET /v1/users",
                "GET /api/recommend/u1",
                "POST /api/session/recommend",
                "GET /api/item/v1/neighbors",
                "GET /metrics",
                "GET /v1/scenarios/home",
                "POST /v1/scenarios/preview",
                "GET /v1/experiments/home",
                "GET /v1/health/series",
                "GET /v1/health/alerts",
            ],
        ),
        (
            "write",
            [
                "POST /v1/events",
                "PUT /v1/items/v1",
                "DELETE /v1/items/v1",
                "PUT /v1/users/u1",
                "POST /v1/items/v1/media",
                "PUT /v1/users/u1/profile",
                "POST /api/feedback",
                "PUT /api/feedback",
                "POST /api/items",
                "PATCH /api/user/u1",
            ],
        ),
        (
            "admin",
            [
                "GET /v1/keys",
                "DELETE /v1/keys/abc",
                "POST /v1/models/roll-back",
                "GET /v1/models/map",
                "PUT /v1/scenarios/home",
                "DELETE /v1/scenarios/home",
                "PUT /v1/experiments/home",
                "DELETE /v1/experiments/home",
                "GET /v1/models",
                "DELETE /v1/users/u1",
                "DELETE /v1/users/a/b",
                "GET /v1/users/u1/export",
                "GET /v1/users/a/b/export",
                "DELETE /api/user/u1",
                "POST /metrics",
                "POST /health/live",
                "GET /elsewhere",
                "GET /v2/items",
                "GET //v1/items",
                "GET /V1/items",
                "TRACE /v1/items",
                "GET v1/items",
                "POST /console/app.js",
            ],
        ),
    ],
)
def test_each_request_needs_its_scope(scope, requests):
    found = {one: ACCESS.needed(*one.split(" ", 1)) for one in requests}
    assert found == dict.fromkeys(requests, None if scope is None else Scope(scope))


def test_a_line_break_in_a_path_does_not_slip_through():
    assert ACCESS.needed("DELETE", "/v1/users/u1\nx") is Scope.ADMIN


def test_metrics_can_be_opened_or_closed():
    assert Access(default_rules(metrics_scope="public")).needed("GET", "/metrics") is None
    assert Access(default_rules(metrics_scope="admin")).needed("GET", "/metrics") is Scope.ADMIN


def test_the_first_rule_that_matches_decides():
    access = Access([Rule("GET", "/a/*", "read"), Rule("*", "/a/**", "write")])
    assert access.needed("GET", "/a/b") is Scope.READ
    assert access.needed("GET", "/a/b/c") is Scope.WRITE
    assert access.needed("POST", "/a") is Scope.WRITE


def test_no_rules_need_the_most():
    assert Access([]).needed("GET", "/") is Scope.ADMIN


def test_a_path_with_signs_of_expressions_means_itself():
    assert not path_pattern("/a.b").fullmatch("/axb")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule("GET", "/a", "root"), "unknown scope 'root' of '/a'; known: public, read, write, admin, personal"),
        (Rule("FETCH", "/a", "read"), "unknown method 'FETCH' of '/a'; known: GET"),
        (Rule("GET", "a", "read"), "a rule's path must start with '/', is 'a'"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(rule, message):
    with pytest.raises(ConfigError, match=message):
        Access([rule])
