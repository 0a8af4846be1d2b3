import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from kinema.errors import ConfigError
from kinema.serving.issuer_keys import IssuerKeys, read_public_keys
from kinema.serving.keys import Scope
from kinema.serving.tokens import Tokens

ISSUER, AUDIENCE = "https://login.example", "kinema"
PRIVATE = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def claims(**changed):
    told = {"iss": ISSUER, "aud": AUDIENCE, "sub": "anna", "exp": time.time() + 600, "scope": "read write other"}
    told.update(changed)
    return {name: value for name, value in told.items() if value is not None}


def token(algorithm="ES256", *, key=None, headers=None, **changed):
    return jwt.encode(claims(**changed), key or PRIVATE[algorithm], algorithm=algorithm, headers=headers)


def tokens(algorithm="ES256", **options):
    keys = {"": PRIVATE[algorithm].public_key()}
    return Tokens(issuer=ISSUER, audience=AUDIENCE, keys=keys, **options)


@pytest.mark.parametrize("algorithm", list(PRIVATE))
def test_a_token_of_the_issuer_is_taken(algorithm, tmp_path):
    (tmp_path / "issuer.pem").write_bytes(pem(PRIVATE[algorithm]))
    verifier = Tokens(issuer=ISSUER, audience=AUDIENCE, keys=read_public_keys(tmp_path / "issuer.pem"))
    found = verifier.verify(token(algorithm))
    assert found is not None
    assert (found.subject, found.scopes) == ("anna", {Scope.READ, Scope.WRITE})


@pytest.mark.parametrize(
    ("told", "scopes"),
    [
        ({"scope": None, "scopes": ["admin", "x", 7]}, {Scope.ADMIN}),
        ({"scope": ""}, set()),
        ({"scope": None}, set()),
        ({"scope": 7}, set()),
        ({"scope": {"read": 1}}, set()),
    ],
)
def test_scopes_come_from_either_claim(told, scopes):
    assert tokens().verify(token(**told)).scopes == scopes


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another service"},
        {"exp": time.time() - 60},
        {"exp": None},
        {"aud": None},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "s" * 201},
        {"nbf": time.time() + 86_400},
        {"exp": "soon"},
        {"exp": float("inf")},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(wrong):
    try:
        text = token(**wrong)
    except (TypeError, ValueError):  # what the library does not sign for us
        text = _signed_by_hand(claims(**wrong))
    assert tokens().verify(text) is None


def _signed_by_hand(told):
    header = {"alg": "ES256", "typ": "JWT"}
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (header, told)]
    signature = jwt.get_algorithm_by_name("ES256").sign(b".".join(parts), PRIVATE["ES256"])
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_a_token_signed_with_the_public_key_as_a_secret_is_refused():
    public = pem(PRIVATE["RS256"])
    part = [
        base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=")
        for one in ({"alg": "HS256", "typ": "JWT"}, claims())
    ]
    algorithm = jwt.get_algorithm_by_name("HS256")
    signature = base64.urlsafe_b64encode(algorithm.sign(b".".join(part), public)).rstrip(b"=")
    assert tokens("RS256").verify(b".".join([*part, signature]).decode()) is None


def test_a_token_without_a_signature_is_refused():
    assert tokens().verify(jwt.encode(claims(), None, algorithm="none")) is None


def test_a_token_of_another_key_or_algorithm_is_refused():
    other = ec.generate_private_key(ec.SECP256R1())
    assert tokens().verify(token(key=other)) is None
    assert tokens("RS256").verify(token("ES256")) is None
    assert tokens("RS256").verify(token("RS256").replace(".", ".x", 1)) is None


@pytest.mark.parametrize(
    "text", ["", "..", "a.b.c", "é.b.c", "x" * 9000, "eyJhbGciOiJFUzI1NiJ9.e30.AA", ".".join("[" * 3)]
)
def test_what_is_no_token_is_refused(text):
    assert tokens().verify(text) is None


def test_a_token_is_remembered_until_it_expires_and_no_longer():
    now = time.time()
    clock = [now]
    verifier = tokens(keep_seconds=60, now=lambda: clock[0])
    text = token(exp=now + 10)
    first = verifier.verify(text)
    assert verifier.verify(text) is first
    clock[0] = now + 11
    assert verifier.verify(text) is not first  # decoded again: the library's own clock and leeway decide


def test_the_memory_of_tokens_is_bounded(monkeypatch):
    monkeypatch.setattr("kinema.serving.tokens._MOST_CACHED", 5)
    verifier = tokens("EdDSA")
    for number in range(12):
        assert verifier.verify(token("EdDSA", sub=f"u{number}"))
    assert len(verifier._known) <= 5


def jwks(tmp_path, *rows):
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": list(rows)}))
    return path


def row(algorithm, key_id, **more):
    own = jwt.get_algorithm_by_name(algorithm)
    return {**json.loads(own.to_jwk(PRIVATE[algorithm].public_key())), "kid": key_id, **more}


def test_a_jwks_file_offers_several_keys_by_id(tmp_path):
    path = jwks(tmp_path, row("RS256", "a"), row("ES256", "b"), row("EdDSA", "c", use="enc"))
    verifier = Tokens(issuer=ISSUER, audience=AUDIENCE, keys=read_public_keys(path))
    assert verifier.verify(token("RS256", headers={"kid": "a"}))
    assert verifier.verify(token("ES256", headers={"kid": "b"}))
    assert verifier.verify(token("ES256", headers={"kid": "a"})) is None
    assert verifier.verify(token("EdDSA", headers={"kid": "c"})) is None
    assert verifier.verify(token("ES256")) is None


def test_keys_that_are_changed_count_without_a_restart(tmp_path):
    clock = [0.0]
    path = jwks(tmp_path, row("ES256", "old"))
    verifier = Tokens(issuer=ISSUER, audience=AUDIENCE, keys=IssuerKeys(path, now=lambda: clock[0]), keep_seconds=0)
    old, new = token("ES256", headers={"kid": "old"}), token("EdDSA", headers={"kid": "new"})
    assert (verifier.verify(old) is not None, verifier.verify(new)) == (True, None)
    jwks(tmp_path, row("ES256", "old"), row("EdDSA", "new"))
    assert verifier.verify(new) is None  # looked less than a second ago
    clock[0] = 1.0
    assert verifier.verify(old)
    assert verifier.verify(new)
    jwks(tmp_path, row("EdDSA", "new"))
    clock[0] = 2.0
    assert (verifier.verify(old), verifier.verify(new) is not None) == (None, True)


@pytest.mark.parametrize("harm", [lambda path: path.write_text("{"), lambda path: path.unlink()])
def test_keys_that_cannot_be_read_again_stay(tmp_path, harm):
    clock = [0.0]
    path = jwks(tmp_path, row("ES256", "a"))
    verifier = Tokens(issuer=ISSUER, audience=AUDIENCE, keys=IssuerKeys(path, now=lambda: clock[0]), keep_seconds=0)
    harm(path)
    clock[0] = 1.0
    assert verifier.verify(token("ES256", headers={"kid": "a"}))
    jwks(tmp_path, row("EdDSA", "b"))
    clock[0] = 2.0
    assert verifier.verify(token("ES256", headers={"kid": "a"})) is None
    assert verifier.verify(token("EdDSA", headers={"kid": "b"}))


def refused(path):
    with pytest.raises(ConfigError) as caught:
        read_public_keys(path)
    return str(caught.value)


def test_files_without_a_public_key_say_so(tmp_path):
    (tmp_path / "private.pem").write_bytes(
        PRIVATE["ES256"].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (tmp_path / "text").write_text("hello")
    assert "cannot be read: No such file or directory" in refused(tmp_path / "none.pem")
    assert "holds a private one; keep that with the issuer" in refused(tmp_path / "private.pem")
    assert "jwt_public_key must be a PEM or JWKS file" in refused(tmp_path / "text")
    assert "it has no key to verify with" in refused(jwks(tmp_path))
    assert "key 's' is a secret" in refused(jwks(tmp_path, {"kty": "oct", "k": "c2VjcmV0", "kid": "s"}))
    assert "is a secret" in refused(jwks(tmp_path, row("ES256", "p", d="AAAA")))


def test_weak_and_strange_keys_and_empty_names_are_refused():
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    with pytest.raises(ConfigError, match="RSA with 2048 bits or more, EC P-256 or Ed25519, is RSAPublicKey"):
        Tokens(issuer=ISSUER, audience=AUDIENCE, keys={"": weak})
    with pytest.raises(ConfigError, match="is str"):
        Tokens(issuer=ISSUER, audience=AUDIENCE, keys={"": "secret"})
    with pytest.raises(ConfigError, match="jwt_issuer and jwt_audience must be set"):
        Tokens(issuer="", audience=AUDIENCE, keys={})
