"""What Python Authlib makes of the server: one JSON order on standard input, one JSON answer on standard output."""

import json
import sys

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oidc.core import CodeIDToken


def metadata(order):
    url = order["issuer"] + "/.well-known/openid-configuration"
    return requests.get(url, verify=order["ca"], timeout=10).json()


def verify_id_token(order):
    """The claims of an ID token, checked as OpenID Connect Core asks, with keys from jwks_uri."""
    keys = requests.get(metadata(order)["jwks_uri"], verify=order["ca"], timeout=10).json()
    claims = JsonWebToken(order["algorithms"]).decode(
        order["token"],
        JsonWebKey.import_key_set(keys),
        claims_cls=CodeIDToken,
        claims_options={
            "iss": {"essential": True, "value": order["issuer"]},
            "aud": {"essential": True, "value": order["client_id"]},
        },
        claims_params={"client_id": order["client_id"]},
    )
    claims.validate()
    return claims


def verify_access_token(order):
    """The claims of an access token for one resource server (RFC 9068), with keys from jwks_uri."""
    keys = requests.get(metadata(order)["jwks_uri"], verify=order["ca"], timeout=10).json()
    claims = JsonWebToken(order["algorithms"]).decode(
        order["token"],
        JsonWebKey.import_key_set(keys),
        claims_options={
            "iss": {"essential": True, "value": order["issuer"]},
            "aud": {"essential": True, "value": order["audience"]},
            "exp": {"essential": True},
        },
    )
    claims.validate()
    return claims


def session(order):
    client = OAuth2Session(
        order["client_id"],
        order["key"],
        token_endpoint_auth_method="private_key_jwt",
        scope=order["scope"],
        redirect_uri=order.get("redirect_uri"),
        code_challenge_method="S256",
    )
    client.verify = order["ca"]
    client.register_client_auth_method(PrivateKeyJWT(alg=order["alg"]))
    return client


def client_credentials(order):
    """A token for the client itself, by a private_key_jwt assertion (RFC 7523)."""
    endpoint = metadata(order)["token_endpoint"]
    return session(order).fetch_token(endpoint, grant_type="client_credentials")


def authorization_url(order):
    endpoint = metadata(order)["authorization_endpoint"]
    url, state = session(order).create_authorization_url(
        endpoint, code_verifier=order["code_verifier"]
    )
    return {"url": url, "state": state}


def exchange(order):
    """Tokens for the code that the redirect to the client carries."""
    return session(order).fetch_token(
        metadata(order)["token_endpoint"],
        authorization_response=order["callback"],
        state=order["state"],
        code_verifier=order["code_verifier"],
    )


ACTIONS = {
    action.__name__: action
    for action in (
        verify_id_token,
        verify_access_token,
        client_credentials,
        authorization_url,
        exchange,
    )
}


def main():
    order = json.load(sys.stdin)
    try:
        answer = {"result": ACTIONS[order["action"]](order)}
    except AuthlibBaseError as error:
        answer = {"refused": error.error}
    json.dump(answer, sys.stdout)


main()
