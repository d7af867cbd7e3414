"""An OAuth client as agents have them: it finds the authorization server, has a user log in, and trades the code for a token.

Only what the demo needs, and that by the book: RFC 8414 (metadata), RFC 7636 (PKCE), RFC 8252 (a redirect to loopback),
RFC 8707 (the resource), RFC 9207 (`iss`), RFC 9449 (DPoP), RFC 7009 (revocation).
"""

import base64
import contextlib
import dataclasses
import hashlib
import html.parser
import http.server
import json
import queue
import secrets
import ssl
import threading
import urllib.parse
import urllib.request

FORM_VALUES = {"password": "demo", "otp": "123456"}  # what demo/oidc/provider.mjs takes
REQUEST_SECONDS = 10


@dataclasses.dataclass(frozen=True)
class Login:
    """Who is to log in, and for what: one token."""

    user: str
    scope: str
    acr: str | None = None  # how they must log in
    dpop: bool = False  # whether the token is bound to the client's key
    client_id: str = "ledger"


@dataclasses.dataclass
class Token:
    """What a login gave."""

    text: str
    kind: str  # token_type: `Bearer` or `DPoP`
    id_token: str  # tells the client who logged in; it is for nobody else

    def decoded(self):
        """Header and claims of the access token: a client has no business with them, people who look at a demo have. Empty
        for a token that says nothing itself."""
        return decoded(self.text) if "." in self.text else [{}, {}]


class Client:
    """The client, at one authorization server, for one resource."""

    def __init__(self, issuer, resource, ca_file, prove):
        self.issuer = issuer
        self.resource = resource
        self.prove = prove  # makes a DPoP proof for a method and a URI
        self.tls = ssl.create_default_context(cafile=ca_file)
        self.metadata = None

    def discover(self):
        """Reads the server's metadata (RFC 8414 §3), which must be of the issuer that the resource named (§3.3)."""
        url = self.issuer + "/.well-known/oauth-authorization-server"
        with opener(self.tls).open(url, timeout=REQUEST_SECONDS) as response:
            self.metadata = json.load(response)
        if self.metadata["issuer"] != self.issuer:
            raise RuntimeError(f"`{url}` is the metadata of `{self.metadata['issuer']}`")

    def authorize(self, login, redirect_uri):
        """The URL that the user's browser is sent to, and what only this client knows of it."""
        verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
        digest = hashlib.sha256(verifier.encode()).digest()
        fields = {
            "response_type": "code",
            "client_id": login.client_id,
            "redirect_uri": redirect_uri,
            "scope": f"openid {login.scope}",
            "resource": self.resource,
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "prompt": "login",  # somebody else may be logged in in that browser
            "login_hint": login.user,
        }
        if login.acr:
            fields["acr_values"] = login.acr
        return f"{self.metadata['authorization_endpoint']}?{urllib.parse.urlencode(fields)}", verifier, state

    def code(self, answer, state):
        """The code in what came to the redirect URI, if that answers this request and comes from this server."""
        if "error" in answer:
            raise RuntimeError(f"no login: {answer['error']}: {answer.get('error_description')}")
        if (answer.get("state"), answer.get("iss")) != (state, self.issuer):
            raise RuntimeError("the redirect answers another request, or comes from another server")
        return answer["code"]

    def redeem(self, login, code, verifier, redirect_uri):
        """The token for a code (RFC 6749 §4.1.3)."""
        endpoint = self.metadata["token_endpoint"]
        fields = {
            "grant_type": "authorization_code",
            "client_id": login.client_id,
            "redirect_uri": redirect_uri,
            "code": code,
            "code_verifier": verifier,
            "resource": self.resource,
        }
        headers = {"DPoP": self.prove("POST", endpoint)} if login.dpop else {}
        request = urllib.request.Request(endpoint, urllib.parse.urlencode(fields).encode(), headers)
        with opener(self.tls).open(request, timeout=REQUEST_SECONDS) as response:
            answer = json.load(response)
        token = Token(answer["access_token"], answer["token_type"], answer["id_token"])
        subject = decoded(token.id_token)[1]["sub"]
        if subject != login.user:
            raise RuntimeError(f"{subject} logged in, and {login.user} was asked to")
        return token

    def revoke(self, login, token):
        """Tells the server that the token is not needed any more (RFC 7009)."""
        fields = {"client_id": login.client_id, "token": token.text}
        body = urllib.parse.urlencode(fields).encode()
        with opener(self.tls).open(self.metadata["revocation_endpoint"], body, timeout=REQUEST_SECONDS) as response:
            response.read()


class Receiver:
    """The client's redirect URI: a server on loopback for as long as a login takes (RFC 8252 §7.3)."""

    def __init__(self):
        self.answers = queue.Queue()
        answers = self.answers

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                found = url.path == "/callback"
                body = b"That is all. Go back to the terminal.\n" if found else b"Nothing is here.\n"
                self.send_response(200 if found else 404)
                self.send_header("content-type", "text/plain")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                if found:
                    answers.put(dict(urllib.parse.parse_qsl(url.query)))

            def log_message(self, *_):
                """Says nothing: codes do not belong into a terminal."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_port}/callback"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def wait(self, seconds):
        with contextlib.suppress(queue.Empty):
            return self.answers.get(timeout=seconds)
        raise RuntimeError(f"nobody logged in within {seconds} s")


class Form(html.parser.HTMLParser):
    """The first form of a page: where it goes, and its fields."""

    def __init__(self, page):
        super().__init__()
        self.action = None
        self.fields = {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = attributes.get("action") or ""
        elif tag == "input" and "name" in attributes:
            self.fields[attributes["name"]] = attributes.get("value") or ""


def fill_in(url, login, tls):
    """Does what a browser with nobody's cookies does, and the user in front of it: opens the page, fills in its form, sends
    it, and follows the redirects, of which the last leads to the client. Gives back the page's address and its fields."""
    browser = opener(tls, urllib.request.HTTPCookieProcessor())
    with browser.open(url, timeout=REQUEST_SECONDS) as response:
        address, form = response.url, Form(response.read().decode())
    if form.action is None:
        raise RuntimeError(f"there is no form at {address}")
    fields = {name: FORM_VALUES.get(name, value) for name, value in form.fields.items()} | {"username": login.user}
    target = urllib.parse.urljoin(address, form.action)
    with browser.open(target, urllib.parse.urlencode(fields).encode(), timeout=REQUEST_SECONDS) as response:
        response.read()
    return address, list(fields)


def decoded(jwt):
    """Header and claims, unverified."""
    parts = jwt.split(".")[:2]
    return [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts]


def opener(tls, *handlers):
    """What opens URLs, without the environment's proxies: everything is on this machine."""
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls), *handlers]
    return urllib.request.build_opener(*handlers)
