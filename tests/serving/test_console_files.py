import gzip

import pytest
from fastapi.testclient import TestClient

from kinema.serving.console_files import FOLDER, Console, read_files
from kinema.steps.serving import make_app
from small_service import small_project

PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SCRIPT = "console.log('otters');\n" * 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("console")
    (made / "assets").mkdir()
    (made / "index.html").write_text("<!doctype html><title>Kinema</title><div id=app></div>")
    (made / "assets" / "index-B3kP0x_q.js").write_text(SCRIPT)
    (made / "assets" / "timeline-overview.css").write_text("p { color: red }")
    (made / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (made / ".hidden").write_text("no")
    return made


@pytest.fixture(scope="module")
def client(folder, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr("kinema.serving.app.FOLDER", folder)
    with small_project(tmp_path_factory.mktemp("served")) as project:
        app = make_app(project)
        patch.undo()
        with TestClient(app, base_url="https://shop.example") as asking:
            yield asking


@pytest.mark.parametrize("path", ["/", "/foryou", "/items/x", "/items/films%2F7", "/healthy", "/v1beta"])
def test_a_browser_gets_the_start_page_at_every_address_of_the_console(client, path):
    answer = client.get(path, headers=PAGE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "id=app" in answer.text


def test_its_pages_run_nothing_that_stands_in_them(client):
    policy = client.get("/", headers=PAGE).headers["content-security-policy"]
    rules = dict(one.strip().split(" ", 1) for one in policy.split(";"))
    assert "unsafe" not in policy
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert {"'self'", "blob:"} <= set(rules["img-src"].split()) & set(rules["media-src"].split())
    assert rules["frame-ancestors"] == "'none'"


@pytest.mark.parametrize("path", ["/v1/nothing", "/api/nothing", "/health/nothing", "/metrics", "/v1", "/health"])
def test_addresses_of_the_service_are_not_the_consoles(client, path):
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/json"


def test_what_is_no_page_and_no_file_is_not_answered_with_a_page(client):
    assert client.get("/assets/gone.js", headers={"accept": "*/*"}).status_code == 401
    assert client.post("/foryou", headers=PAGE).status_code == 401
    assert client.get("/.hidden", headers={"accept": "*/*"}).status_code == 401
    assert client.get("/", headers={"accept": "*/*"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/assets/..%2f..%2fauth.py", "//etc/passwd", "/assets/%2e%2e/x"]
)
def test_nothing_outside_of_the_folder_is_told(client, path):
    answer = client.get(path, headers={"accept": "*/*"})
    assert answer.status_code == 401


def test_texts_are_sent_packed_to_those_who_take_that(client):
    path = "/assets/index-B3kP0x_q.js"
    plain = client.get(path, headers={"accept-encoding": "identity"})
    packed = client.get(path, headers={"accept-encoding": "br;q=1, gzip"})
    assert (plain.text, packed.text) == (SCRIPT, SCRIPT)
    assert (plain.headers.get("content-encoding"), packed.headers["content-encoding"]) == (None, "gzip")
    assert int(packed.headers["content-length"]) == len(gzip.compress(SCRIPT.encode(), 9)) < len(SCRIPT)
    assert plain.headers["etag"] != packed.headers["etag"]
    assert "Accept-Encoding" in packed.headers["vary"]
    assert packed.headers["content-type"] == "text/javascript; charset=utf-8"
    for refused in ("gzip;q=0", "gzip; q=0.0", ""):
        assert "content-encoding" not in client.get(path, headers={"accept-encoding": refused}).headers


def test_names_with_a_hash_are_kept_forever_and_others_are_asked_about(client):
    told = {
        path: client.get(path).headers["cache-control"] for path in ("/", "/icon.svg", "/assets/timeline-overview.css")
    }
    assert set(told.values()) == {"no-cache"}
    assert client.get("/assets/index-B3kP0x_q.js").headers["cache-control"] == "public, max-age=31536000, immutable"


def test_what_a_browser_has_is_not_sent_again(client):
    etag = client.get("/").headers["etag"]
    again = client.get("/", headers={"if-none-match": f'"old", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get("/", headers={"if-none-match": '"old"'}).status_code == 200


def test_a_head_has_no_body(client):
    answer = client.head("/", headers=PAGE)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_its_files_are_counted_under_one_name(client):
    client.get("/items/secret-7", headers=PAGE)
    text = client.app.state.parts.engine.telemetry.text().decode()
    assert 'kinema_requests_total{method="GET",route="(console)",status="200"}' in text
    assert "secret-7" not in text


def test_without_a_build_the_start_page_says_so(tmp_path):
    assert read_files(tmp_path) == {}
    console = TestClient(Console(None, files={}))
    answer = console.get("/", headers=PAGE)
    assert answer.status_code == 404
    assert "The console is not part of this installation" in answer.text
    assert "npm run build" in answer.text


def test_the_package_names_the_folder():
    assert FOLDER.parent.name == "serving"
    assert FOLDER.name == "console"
