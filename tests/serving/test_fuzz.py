"""Requests made from the OpenAPI document, valid and not: what is answered is what it says, and nothing fails.

`benchmarks/fuzz.py` does the same for minutes.
"""

import json
from contextlib import suppress

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from kinema.serving.access import Access, default_rules
from kinema.serving.examples import BODIES
from served import served
from small_service import small_client, small_project

FEW = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CONFORMS = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    with small_client(tmp_path_factory.mktemp("document"), is_open=False) as client:
        return client.get("/openapi.json").json()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with small_project(tmp_path_factory.mktemp("fuzz")) as project, served(project) as url:
        yield url


@pytest.fixture(scope="module")
def session():
    with requests.Session() as kept:
        yield kept


@pytest.fixture(scope="module")
def api(address):
    return schemathesis.openapi.from_url(f"{address}/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_what_is_answered_is_what_the_document_says(api, session, mode):
    asked = 0
    for found in api.get_all_operations():
        operation = found.ok()
        made = given(case=operation.as_strategy(generation_mode=mode))(lambda case: check(case, session))
        with suppress(Unsatisfiable):  # some operations take everything
            FEW(made)()
        asked += 1
    assert asked > 60


def check(case, session):
    answer = case.call(session=session)
    case.validate_response(answer, checks=CONFORMS)
    if answer.status_code >= 500:
        told = answer.json()["error"]
        # What is not built yet is the operator's to do.
        assert (answer.status_code, "run: kinema" in told["message"]) == (503, True), told


def test_every_operation_names_the_scope_that_it_needs(document):
    access = Access(default_rules())
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            needed = access.needed(method.upper(), path)
            wanted = [] if needed is None else [{name: [needed.value]} for name in ("key", "bearer", "session")]
            assert operation["security"] == wanted, (method, path)
    public = {path for path, one in document["paths"].items() if any(not op["security"] for op in one.values())}
    assert public == {"/health/live", "/health/ready", "/api/health/live", "/api/health/ready", "/v1/session"}
    assert document["components"]["securitySchemes"]["key"]["name"] == "X-API-Key"
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_the_document_of_an_open_service_lets_keys_be_left_out(address):
    operation = requests.get(f"{address}/openapi.json", timeout=30).json()["paths"]["/v1/items"]["get"]
    assert operation["security"] == [{}, {"key": ["read"]}, {"bearer": ["read"]}, {"session": ["read"]}]


def with_bodies(document):
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" in content:
                yield method, path, operation["operationId"], content["application/json"]


def test_every_body_has_an_example_that_fits(document):
    named = set()
    for _, _, name, content in with_bodies(document):
        assert "example" in content, f"{name} needs an example in kinema.serving.examples"
        named.add(name)
        schema = content["schema"] | {"components": document["components"]}
        Draft202012Validator(json.loads(json.dumps(schema))).validate(content["example"])
    assert named == set(BODIES)


def test_every_example_is_taken(address, document):
    requests.put(f"{address}/v1/items/v1", json=BODIES["put_item"], timeout=30).raise_for_status()
    requests.put(f"{address}/v1/users/u1", json=BODIES["put_user"], timeout=30).raise_for_status()
    for method, path, name, content in with_bodies(document):
        if name == "roll_back_model":
            continue  # there is nothing to roll back to
        at = path.format(item_id="v1", user_id="u1", category="nature", scenario="home")
        answer = requests.request(method, address + at, json=content["example"], timeout=30)
        assert answer.ok, (name, answer.text)


def test_every_reference_of_the_document_leads_somewhere(document):
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert name in document["components"]["schemas"], name
