"""Bearer tokens: what holds is read, and everything else is refused (ITI-72)."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from ihe.bearer import BearerTokens, Introspection, TokenIssuer
from ihe.claims import Coded
from ihe.errors import InvalidToken, Unavailable
from ihe.jwks import KEEP_SECONDS, LEAST_SECONDS, LONGEST_SECONDS, KeysInFile, PublishedKeys, read_keys
from ihe.peer import Peer
from tests.vouchers import AUDIENCE, AUTHORIZATION_SERVER, PROFESSION, PURPOSE, AuthorizationServer, key_and_certificate

SERVER = AuthorizationServer()
PEER = Peer("10.0.0.1")


class Published:
    """An issuer on a real socket: its keys, and what it says of tokens."""

    def __init__(self, keys: bytes = b"") -> None:
        self.keys, self.said, self.asked, self.is_up = keys, {}, [], True

    @contextmanager
    def serving(self) -> Iterator[str]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append("keys")
                self.answer(issuer.keys)

            def do_POST(self):
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                issuer.asked.append(self.headers["authorization"])
                self.answer(json.dumps(issuer.said.get(form["token"][0], {"active": False})).encode())

            def answer(self, content):
                self.send_response(200 if issuer.is_up else 503)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/"
            finally:
                server.shutdown()
                thread.join()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.write_bytes(SERVER.jwks)
    return KeysInFile(path)


def dotted(parts: list[bytes]) -> str:
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def issuer(keys=None, **options) -> TokenIssuer:
    return TokenIssuer(SERVER.name, keys, **{"audiences": frozenset({AUDIENCE}), **options})


def claims(keys, token: str, peer: Peer = PEER, **options):
    return BearerTokens([issuer(keys, **options)]).claims(f"Bearer {token}", peer)


def test_a_token_that_holds_is_read(keys):
    extensions = {
        "ihe_iua": {
            "subject_role": [{"system": f"urn:oid:{PROFESSION}", "code": "10"}],
            "purpose_of_use": [{"system": PURPOSE, "code": "bris_de_glace"}],
            "subject_organization_id": ["urn:oid:2.25.1"],
            "person_id": "1^^^&1.2.3&ISO",
        }
    }
    said = claims(keys, SERVER.token(extensions=extensions))
    assert said.vouched == f"<899700000011@{AUTHORIZATION_SERVER}>"
    assert said.roles == (Coded("10", PROFESSION),)
    assert said.purpose == Coded("bris_de_glace", PURPOSE)
    assert said.organisations == {"urn:oid:2.25.1"}
    assert said.patient == "1^^^&1.2.3&ISO"
    assert said.scopes == {"ITI-67", "ITI-78", "user/Patient.read"}


def test_claims_of_pro_sante_connect_are_read(keys):
    token = SERVER.token(
        extensions=None,
        sub="f:1234",
        SubjectNameID="899700000011",
        scope="openid scope_all",
        acr="eidas1",
        SubjectRefPro={
            "exercices": [
                {"codeProfession": "10", "activities": [{"numeroFinessSite": "420000001"}]},
                {"codeProfession": "10", "activities": [{"numeroFinessetablissementJuridique": "420000002"}]},
            ]
        },
    )
    said = claims(keys, token, is_scoped=False, acr=frozenset({"eidas1"}))
    assert said.vouched == f"<899700000011@{AUTHORIZATION_SERVER}>"
    assert said.roles == (Coded("10", PROFESSION),)
    assert said.organisations == {"420000001", "420000002"}
    assert said.scopes is None
    with pytest.raises(InvalidToken, match="weaker"):
        claims(keys, SERVER.token(acr="eidas0"), acr=frozenset({"eidas1"}))


def test_a_system_by_itself_is_no_user(keys):
    said = claims(keys, SERVER.token(sub="viewer", extensions=None))
    assert said.vouched is None
    assert said.scopes == {"ITI-67", "ITI-78", "user/Patient.read"}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.just("10^1.2"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    *("iss", "sub", "aud", "exp", "nbf", "iat", "acr", "azp", "client_id", "scope", "cnf", "extensions"),
    *("SubjectNameID", "SubjectRole", "SubjectOrganizationID", "SubjectRefPro", "purpose_of_use"),
)
IUA = st.dictionaries(
    st.sampled_from(["subject_role", "purpose_of_use", "subject_organization_id", "person_id"]), JSON, max_size=4
).map(lambda said: {"ihe_iua": said})
PRACTICES = st.lists(st.fixed_dictionaries({"codeProfession": JSON, "activities": JSON}), max_size=2).map(
    lambda found: {"exercices": found}
)


@given(st.dictionaries(st.sampled_from(NAMES), JSON | IUA | PRACTICES, max_size=5))
def test_whatever_an_issuer_signs_is_read_or_refused(keys, content):
    with suppress(InvalidToken):
        claims(keys, SERVER.token(**content), acr=frozenset({"eidas1"}) if "acr" in content else frozenset())


@given(st.text(max_size=200) | st.lists(st.binary(max_size=40), min_size=3, max_size=3).map(dotted))
def test_whatever_is_shown_as_a_token_is_refused(keys, token):
    with pytest.raises(InvalidToken):
        claims(keys, token)


def test_no_token_is_no_user(keys):
    tokens = BearerTokens([issuer(keys)])
    assert tokens.claims(None, PEER) is None
    for wrong in ("Basic eDp5", "Bearer", "Bearer ", "Bearer x", "Bearer " + "x" * 20_000, "Bearer a.b.c"):
        with pytest.raises(InvalidToken):
            tokens.claims(wrong, PEER)


def altered(token: str) -> str:
    head, content, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(content + "==")) | {"sub": "another"}
    return ".".join((head, base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("="), signature))


def unsigned() -> str:
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(SERVER.content())}."


def signed_with_the_public_key() -> str:
    """The confusion of algorithms: the public key taken for a shared secret."""
    key = OctKey.import_key(SERVER.jwks)
    return jwt.encode({"alg": "HS256", "kid": "k1"}, SERVER.content(), key, algorithms=["HS256"])


WRONG = {
    "expired": lambda: SERVER.token(exp=int(time.time()) - 600),
    "without an end": lambda: SERVER.token(exp=None),
    "not yet valid": lambda: SERVER.token(nbf=int(time.time()) + 600),
    "of the future": lambda: SERVER.token(iat=int(time.time()) + 600),
    "that never ends": lambda: SERVER.token(exp=float("inf")),
    "with an end that is no time": lambda: SERVER.token(exp="tomorrow"),
    "for others": lambda: SERVER.token(aud=["https://elsewhere.example"]),
    "for nobody": lambda: SERVER.token(aud=None),
    "of an issuer unknown": lambda: SERVER.token(iss="https://unknown.example"),
    "without an issuer": lambda: SERVER.token(iss=None),
    "without a subject": lambda: SERVER.token(sub=None, client_id=None),
    "of two purposes": lambda: SERVER.token(extensions={"ihe_iua": {"purpose_of_use": ["normal", "centre_15"]}}),
    "signed by another": lambda: AuthorizationServer().token(),
    "signed by a key unknown": lambda: AuthorizationServer(kid="k2").token(),
    "altered": lambda: altered(SERVER.token()),
    "not signed": unsigned,
    "signed with the public key": signed_with_the_public_key,
    "bound by a proof of possession that is not read": lambda: SERVER.token(cnf={"jkt": "x"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_token_that_does_not_hold_is_refused(keys, name):
    with pytest.raises(InvalidToken):
        claims(keys, WRONG[name]())


def test_a_token_bound_to_a_certificate_counts_with_it_only(keys):
    mine, anothers = (
        key_and_certificate(name)[1].public_bytes(serialization.Encoding.DER) for name in ("mine", "another's")
    )
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(mine).digest()).decode().rstrip("=")
    token = SERVER.token(cnf={"x5t#S256": thumbprint})
    assert claims(keys, token, Peer("h", certificate=mine)).vouched
    for certificate in (anothers, None):
        with pytest.raises(InvalidToken, match="bound"):
            claims(keys, token, Peer("h", certificate=certificate))
    with pytest.raises(InvalidToken, match="bound"):
        claims(keys, SERVER.token(), Peer("h", certificate=mine), must_be_bound=True)


def test_an_issuer_without_audiences_is_held_to_its_applications(keys):
    options = {"audiences": frozenset(), "clients": frozenset({"viewer"})}
    assert claims(keys, SERVER.token(aud=None), **options).vouched
    with pytest.raises(InvalidToken, match="others"):
        claims(keys, SERVER.token(client_id="another"), **options)
    with pytest.raises(InvalidToken, match="others"):
        claims(keys, SERVER.token(client_id=None), **options)


def test_published_keys_are_fetched_kept_and_follow_a_change():
    moment = [0.0]
    published = Published(SERVER.jwks)
    with published.serving() as url:
        tokens = BearerTokens([issuer(PublishedKeys(url, now=lambda: moment[0]))])
        for _ in range(3):
            assert tokens.claims(f"Bearer {SERVER.token()}", PEER)
        assert published.asked == ["keys"]
        changed = AuthorizationServer(kid="k2")
        published.keys = changed.jwks
        with pytest.raises(InvalidToken, match="does not publish"):
            tokens.claims(f"Bearer {changed.token()}", PEER)  # fetched a moment ago: nobody makes us ask without end
        moment[0] += LEAST_SECONDS
        assert tokens.claims(f"Bearer {changed.token()}", PEER)
        assert published.asked == ["keys", "keys"]
        published.is_up = False
        moment[0] += KEEP_SECONDS
        assert tokens.claims(f"Bearer {changed.token(jti='t2')}", PEER)
        moment[0] += LONGEST_SECONDS
        with pytest.raises(Unavailable):
            tokens.claims(f"Bearer {changed.token(jti='t3')}", PEER)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"keys": 1}', b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "eA"}]}']
)
def test_what_is_no_set_of_public_keys_is_refused(content):
    with pytest.raises(ValueError):
        read_keys(content)


def test_a_private_key_is_no_published_key():
    with pytest.raises(ValueError, match="public"):
        read_keys(json.dumps({"keys": [SERVER.key.as_dict(private=True)]}).encode())


def test_an_opaque_token_is_shown_to_its_issuer_and_the_answer_kept_for_a_while():
    moment = [time.time()]
    published = Published()
    published.said["opaque"] = {"active": True, **SERVER.content()}
    with published.serving() as url:
        asked = Introspection(url, "registry", "secret", keep_seconds=30)
        tokens = BearerTokens([issuer(introspection=asked, is_of_opaque=True)], now=lambda: moment[0])
        for _ in range(3):
            assert tokens.claims("Bearer opaque", PEER).vouched
        assert published.asked == ["Basic " + base64.b64encode(b"registry:secret").decode()]
        published.said.clear()  # the token is revoked
        assert tokens.claims("Bearer opaque", PEER).vouched
        moment[0] += 30
        with pytest.raises(InvalidToken, match="not in force"):
            tokens.claims("Bearer opaque", PEER)
        published.is_up = False
        moment[0] += 30
        with pytest.raises(Unavailable):
            tokens.claims("Bearer opaque", PEER)


def test_a_signed_token_may_have_to_be_in_force_as_well(keys):
    published = Published()
    token = SERVER.token()
    with published.serving() as url:
        asked = Introspection(url, "registry", "secret", keep_seconds=0)
        tokens = BearerTokens([issuer(keys, introspection=asked)])
        with pytest.raises(InvalidToken, match="not in force"):
            tokens.claims(f"Bearer {token}", PEER)
        published.said[token] = {"active": True, "SubjectNameID": "899700000029"}
        assert tokens.claims(f"Bearer {token}", PEER).subject == "899700000029"


def test_secrets_do_not_show():
    assert "secret" not in repr(Introspection("http://127.0.0.1/", "registry", "secret")).replace("client_secret", "")
