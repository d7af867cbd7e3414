"""What all demos share: peers, Countersign and Envoy in a temporary folder, requests, and what became of each.

Builds what is missing, starts everything on free loopback ports, prints each outcome and why it is so, and leaves nothing
behind.
"""

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"

START_SECONDS = 20  # Envoy starts in under one, all others in a fraction; a busy machine gets more
STOP_SECONDS = 15  # Countersign drains for five
LOG_TAIL_LINES = 15

# Arguments of `dev-peers token`.
ALICE = ["--subject", "alice", "--scope", "accounts:read transfers:write"]

ROW = "{:>2}  {:<18} {:<18} {:>6}  {}"
INDENT = " " * 6


@dataclasses.dataclass
class Case:
    """One request and what should become of it."""

    request: str  # method and path
    agent: str  # whose certificate
    token: list | None  # arguments of `dev-peers token`; None sends no token
    status: int | None  # None: refused before there was a request
    reason: str | None
    why: str  # lines
    door: str = "mesh"  # the listener
    headers: dict = dataclasses.field(default_factory=dict)
    domain: str = "demo.example"  # the agent's trust domain
    unasked: str = "the proxy refused the certificate"  # why there is no decision, where no reason is expected
    challenge: str | None = None  # what the answer's WWW-Authenticate must contain; it is printed then

    @property
    def caller(self):
        return agent_id(self.agent, self.domain)

    @property
    def user(self):
        return None if self.token is None else self.token[self.token.index("--subject") + 1]

    @property
    def whom(self):
        return f"{self.agent} for {self.user}" if self.user else f"{self.agent}, no user"


@dataclasses.dataclass
class Answer:
    """What came back; no status where there was no TLS connection."""

    status: int | None = None
    body: bytes = b""
    challenge: str | None = None  # WWW-Authenticate


def agent_id(name, domain="demo.example"):
    return f"spiffe://{domain}/ns/agents/sa/{name}"


def run(demonstration, cases):
    """Builds, runs the demonstration, and ends the program with its exit status."""
    try:
        sys.exit(main(demonstration, cases))
    except KeyboardInterrupt:
        sys.exit(130)


def main(demonstration, cases):
    sys.stdout.reconfigure(line_buffering=True)  # in order with the logs on standard error
    # A terminated demo cleans up like one that ends: the signal becomes an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    programs = Programs.build()
    with contextlib.ExitStack() as stack:
        demo = demonstration(stack, programs)
        built = time.monotonic()
        try:
            demo.start()
            failures = demo.run(cases)
        except Exception as error:  # noqa: BLE001 - whatever it is, the logs say more
            demo.print_logs()
            print(f"\nThe demo failed: {error}", file=sys.stderr)
            return 1
        if failures:
            demo.print_logs()
    print(f"Built in {built - started:.0f} s, ran for {time.monotonic() - built:.1f} s; nothing is left behind.")
    return 1 if failures else 0


@dataclasses.dataclass
class Programs:
    countersign: str
    dev_peers: str
    envoy: str

    @classmethod
    def build(cls):
        envoy = os.environ.get("ENVOY") or sys.exit("ENVOY is not set: `make demo` fetches Envoy and names it")
        print("Building …")
        command = ["cargo", "build", "--bin", "countersign", "--example", "dev-peers"]
        command += ["--message-format", "json-render-diagnostics"]
        output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
        built = {}
        for line in output.splitlines():
            message = json.loads(line)
            if message.get("executable"):
                built[message["target"]["name"]] = message["executable"]
        return cls(built["countersign"], built["dev-peers"], os.path.abspath(envoy))


class Demo:
    """Everything that runs, in one temporary folder. What was started last is stopped first."""

    def __init__(self, stack, programs):
        self.stack = stack
        self.programs = programs
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="countersign-demo-"))
        stack.callback(shutil.rmtree, self.dir)
        self.children = []
        self.decisions_read = 0

    def start(self):
        self.start_peers()
        self.start_countersign(DEMO / "countersign.yaml")
        self.start_envoy(DEMO / "envoy.yaml")

    def start_peers(self):
        peers = self.programs.dev_peers
        subprocess.run([peers, "certs", "."], cwd=self.dir, check=True)
        upstream = self.spawn("upstream", [peers, "upstream", "--listen", "unix:upstream.sock"])
        self.issuer_url = self.start_issuer()
        wait_for("the upstream", upstream, (self.dir / "upstream.sock").exists)
        self.environment = {"DEMO_DIR": str(self.dir), "DEMO_ISSUER": self.issuer_url}

    def start_issuer(self):
        issuer = self.spawn("issuer", [self.programs.dev_peers, "issuer", "--dir", "."])
        return wait_for("the issuer", issuer, lambda: json.loads(issuer.first_line())["url"])

    def start_countersign(self, config):
        serve = [self.programs.countersign, "serve", "-c", str(config)]
        self.countersign = self.spawn("countersign", serve, self.environment)
        wait_for("Countersign", self.countersign, lambda: get(self.addresses()["probes"], "/readyz")[0] == 200)

    def start_envoy(self, config):
        command = [self.programs.envoy, "-c", str(config), "--admin-address-path", "envoy.admin"]
        command += ["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
        command += ["--service-node", "demo", "--service-cluster", "demo"]
        envoy = self.spawn("envoy", command)
        self.ports = wait_for("Envoy", envoy, self.envoy_ports)

    def spawn(self, name, command, environment=None):
        child = Child(name, command, self.dir, environment or {})
        self.children.append(child)
        self.stack.callback(child.stop)
        return child

    def addresses(self):
        """Where Countersign listens, as its log says."""
        return [line for line in self.countersign.log() if line.get("message") == "listening"][0]

    def envoy_ports(self):
        """Listener's name → port, once Envoy is live."""
        admin = (self.dir / "envoy.admin").read_text()
        if get(admin, "/ready")[0] != 200:
            return None
        listeners = json.loads(get(admin, "/listeners?format=json")[1])["listener_statuses"]
        return {one["name"]: one["local_address"]["socket_address"]["port_value"] for one in listeners}

    def run(self, cases):
        """Sends each request, prints what became of it, and gives back how many went wrong."""
        print("\n" + ROW.format("", "REQUEST", "AS WHOM", "RESULT", "REASON (from the decision log)"))
        failures = 0
        for number, case in enumerate(cases, 1):
            failures += bool(self.show(number, case))
            print()
        print(f"{len(cases) - failures} of {len(cases)} as expected.")
        return failures

    def show(self, number, case):
        """Sends one request, prints what became of it, and gives back what is wrong with that."""
        answer = self.send(case)
        reason, detail = self.next_decision() if case.reason else (None, f"none: {case.unasked}")
        said = ": ".join(filter(None, [reason, detail]))
        print(ROW.format(number, case.request, case.whom, answer.status or "no TLS", said))
        for line in case.why.splitlines():
            say(line)
        as_wanted = (answer.status, reason) == (case.status, case.reason)
        problems = self.show_answer(answer, case) if as_wanted else [f"wanted {case.status} {case.reason}"]
        for problem in problems:
            say(f"WRONG: {problem}")
        return problems

    def show_answer(self, answer, case):
        """Prints what came to the upstream, or what the client is told to do, and gives back what is wrong with it."""
        if answer.status == 200:
            return show_upstream(json.loads(answer.body), case)
        if case.challenge is None:
            return []
        say(f"  WWW-Authenticate: {answer.challenge}")
        return [] if case.challenge in (answer.challenge or "") else [f"the challenge should have `{case.challenge}`"]

    def send(self, case):
        connection, headers = self.connection(case), {**case.headers, **self.credentials(case)}
        method, path = case.request.split()
        with contextlib.closing(connection):
            try:
                connection.request(method, path, headers=headers)
                response = connection.getresponse()
            except (ssl.SSLError, ConnectionResetError):
                return Answer()
            return Answer(response.status, response.read(), response.headers["www-authenticate"])

    def credentials(self, case):
        """The headers that say for whom the agent calls."""
        return {} if case.token is None else {"authorization": f"Bearer {self.token(case.token)}"}

    def connection(self, case):
        """A connection to the case's door that is not yet made, with the agent's certificate."""
        context = ssl.create_default_context(cafile=self.dir / "mesh-ca.pem")
        context.load_cert_chain(self.dir / f"{case.agent}.pem", self.dir / f"{case.agent}.key")
        return http.client.HTTPSConnection("127.0.0.1", self.ports[case.door], context=context, timeout=10)

    def token(self, arguments):
        command = [self.programs.dev_peers, "token", "--dir", ".", "--issuer", self.issuer_url, *arguments]
        return subprocess.run(command, cwd=self.dir, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def next_decision(self):
        """Reason and detail of the next record of the decision log, which is written a moment after the answer."""

        def unread():
            records = self.countersign.decisions()[self.decisions_read :]
            return records[0] if records else None

        record = wait_for("the decision's record", self.countersign, unread)["countersign"]
        self.decisions_read += 1
        return record["reason"], record.get("detail")

    def print_logs(self):
        for child in self.children:
            print(f"\n--- last lines of {child.name} ---\n{child.tail()}", file=sys.stderr)


class Child:
    """A process and its output."""

    def __init__(self, name, command, cwd, environment):
        self.name = name
        self.out = cwd / f"{name}.out"
        self.err = cwd / f"{name}.err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,  # the development peers end when it closes
                stdout=out,
                stderr=err,
                start_new_session=True,  # so that Ctrl-C reaches the demo alone, which stops everything in order
            )

    def first_line(self):
        return self.out.read_text().splitlines()[0]

    def log(self):
        return json_lines(self.err)

    def decisions(self):
        return json_lines(self.out)

    def tail(self):
        text = self.out.read_text(errors="replace") + self.err.read_text(errors="replace")
        return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()


def say(text):
    """Prints a line below the row that it belongs to."""
    print(f"{INDENT}{text}")


def show_upstream(request, case):
    """Prints the headers that came to the upstream, and gives back what is wrong with them."""
    names = ("x-countersign-", "x-policy-", "authorization")
    headers = [(name, value) for name, value in request["headers"] if name.startswith(names)]
    for name, value in sorted(headers):
        say(f"  {name}: {value}")
    wanted = {"x-countersign-caller": case.caller, "x-countersign-user": case.user}
    problems = [f"the upstream should see `{name}: {value}`" for name, value in wanted.items()
                if [seen for key, seen in headers if key == name] != [value]]
    if any(name == "authorization" for name, _ in headers):
        problems.append("the upstream should not see the token")
    return problems


def wait_for(what, child, condition):
    """Polls until the condition gives something, the child ends, or the time is up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, IndexError, http.client.HTTPException):
            if result := condition():
                return result
        if child.process.poll() is not None:
            raise RuntimeError(f"{child.name} ended with status {child.process.returncode}")
        time.sleep(0.02)
    raise RuntimeError(f"{what} was not there after {START_SECONDS} s")


def json_lines(path):
    """The whole lines of JSON in a file that may still be written to."""
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


def get(address, path):
    connection = http.client.HTTPConnection(address, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
