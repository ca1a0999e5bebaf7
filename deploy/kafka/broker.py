"""A real Apache Kafka 4.1 in KRaft mode, without Docker: needs Java 17 and Maven, nothing else.

    python deploy/kafka/broker.py --port 9092 --data var/kafka

runs one broker in the foreground until Ctrl-C. Tests and `make kafka` use the class `Broker`.
Only the standard library is imported, so that it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import atexit
import base64
import hashlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBS = HERE / "libs"
METADATA_REQUEST = 3
METADATA_VERSION = 1
# For a broker that lives a minute: Java compiles once and not again.
QUICK = ["-XX:TieredStopAtLevel=1"]


class BrokerFailed(Exception):
    """The broker could not be started; the text says why and where its log is."""


def say(text: str) -> None:
    """Progress for the person who waits; stderr, so that output stays free for results."""
    print(f"kafka: {text}", file=sys.stderr, flush=True)


def missing_tools() -> str | None:
    """What is needed to run a broker and not installed, as a sentence; None when all is there."""
    absent = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if absent:
        return f"{' and '.join(absent)} not found on PATH (a real Kafka needs Java 17 and Maven)"
    return None


@contextmanager
def exclusive(lock_path: Path) -> Iterator[None]:
    """One process at a time; the lock of a process that dies is freed by the system."""
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    with lock_path.open("w", encoding="utf-8") as handle:
        try:
            import fcntl
        except ImportError:  # not a POSIX system: the rename below still keeps the folder whole
            yield
            return
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def fetch_jars(libs: Path = LIBS) -> Path:
    """The folder with Kafka's jars; the first run copies them, later ones return at once.

    The folder's name is the hash of pom.xml, so a changed version never mixes with an old one.
    It appears by a rename when it is complete: a half-copied folder is never used.
    """
    pom = HERE / "pom.xml"
    folder = libs / hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    if folder.is_dir():
        return folder
    with exclusive(libs / ".lock"):
        if folder.is_dir():
            return folder
        say("copying the jars of Apache Kafka 4.1.1 (54 MB, once) …")
        staging = Path(tempfile.mkdtemp(prefix=".copying-", dir=libs))
        done = subprocess.run(
            [
                "mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies",
                "-DincludeScope=runtime", f"-DoutputDirectory={staging}",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            shutil.rmtree(staging, ignore_errors=True)
            raise BrokerFailed(f"Maven could not copy Kafka's jars:\n{done.stdout[-2000:]}")
        staging.rename(folder)
        say(f"{len(list(folder.glob('*.jar')))} jars in place")
    return folder


def prepared_classes(jars: Path) -> Path | None:
    """Java's archive of the classes that a broker loads: with it one starts in half the time.

    Written by a throwaway broker when it ends, once for these jars; None where Java could not.
    """
    archive = jars.with_suffix(".jsa")
    if archive.is_file():
        return archive
    with exclusive(jars.parent / ".lock"):
        if archive.is_file():
            return archive
        say("preparing Java's classes (once) …")
        with tempfile.TemporaryDirectory(prefix="kafka-") as folder:
            staging = Path(folder) / "classes.jsa"
            broker = Broker(Path(folder) / "data", libs=jars.parent)
            broker.java_options = [*QUICK, f"-XX:ArchiveClassesAtExit={staging}"]
            broker.start()
            broker.stop(timeout_seconds=60.0)
            if not staging.is_file():
                return None
            shutil.copy(staging, archive.with_suffix(".copying"))
            archive.with_suffix(".copying").rename(archive)
    return archive


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def registered_brokers(port: int, *, timeout_seconds: float = 2.0) -> int:
    """How many brokers the one at `port` names in its metadata; 0 while it does not answer.

    An open port is not enough: until the controller has let a broker in, it lists none.
    """
    client = b"probe"
    body = struct.pack(">hhih", METADATA_REQUEST, METADATA_VERSION, 1, len(client)) + client
    body += struct.pack(">i", 0)  # no topics, only the cluster
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_seconds) as link:
            link.sendall(struct.pack(">i", len(body)) + body)
            answer = b""
            while len(answer) < 12:
                piece = link.recv(4096)
                if not piece:
                    return 0
                answer += piece
    except OSError:
        return 0
    return int(struct.unpack(">i", answer[8:12])[0])


class Broker:
    """One broker with its own data folder on one loopback port.

    `session_timeout_ms` is how long the controller waits for a dead broker's registration: 9000 is
    Kafka's own value; with 2000 a broker is back about 4 s after `kill -9` instead of 13.
    `short_lived`: for tests; it starts in half the time and is slower once it runs.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        session_timeout_ms: int = 9000,
        heap_megabytes: int = 512,
        short_lived: bool = False,
        libs: Path = LIBS,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port or free_port()
        self.log_path = self.data_dir / "broker.log"
        self._session_timeout_ms = session_timeout_ms
        self._heap_megabytes = heap_megabytes
        self._short_lived = short_lived
        self._libs = libs
        self.java_options: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self, *, timeout_seconds: float = 60.0) -> None:
        """Format the data folder if it is new, start Java, return when the broker serves."""
        jars = fetch_jars(self._libs)
        if self._short_lived:
            archive = prepared_classes(jars)
            self.java_options = [*QUICK, *([f"-XX:SharedArchiveFile={archive}"] if archive else [])]
        self.data_dir.mkdir(parents=True, exist_ok=True)
        properties = self.data_dir / "server.properties"
        formatted = (self.data_dir / "log" / "meta.properties").exists()
        # Formatting writes the controller's address into the log: it stays, the port may change.
        controller_port = _controller_port(properties) if formatted else free_port()
        properties.write_text(self._properties(controller_port), encoding="utf-8")
        if not formatted:
            self._format(jars, properties)
        say(f"starting on {self.bootstrap_servers}, log {self.log_path} …")
        started = time.monotonic()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java(jars), "kafka.Kafka", str(properties)],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches us first and we stop it in order
            )  # fmt: skip
        atexit.register(self.stop)
        self._wait_until_it_serves(timeout_seconds)
        say(f"serving after {time.monotonic() - started:.1f} s (pid {self.pid})")

    def stop(self, *, timeout_seconds: float = 20.0) -> None:
        """Ask the broker to end; end it if it does not."""
        self._end(signal.SIGTERM, timeout_seconds)

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self._end(signal.SIGKILL, 10.0)

    def restart(self, *, timeout_seconds: float = 60.0) -> None:
        """Start again on the same data folder and port, whether it was stopped or killed."""
        self.stop()
        self.start(timeout_seconds=timeout_seconds)

    def wait(self) -> int:
        """Block until the broker ends by itself; its exit code."""
        return self._process.wait() if self._process is not None else 0

    def _end(self, how: signal.Signals, timeout_seconds: float) -> None:
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10.0)

    def _java(self, jars: Path) -> list[str]:
        return [
            "java", f"-Xmx{self._heap_megabytes}m", "-XX:+UseSerialGC", *self.java_options,
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.xml'}", "-cp", f"{jars}/*",
        ]  # fmt: skip

    def _format(self, jars: Path, properties: Path) -> None:
        say(f"formatting {self.data_dir} …")
        tool = [*self._java(jars), "kafka.tools.StorageTool"]
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        _run(
            [*tool, "format", "--standalone", f"--cluster-id={cluster_id}", "-c", str(properties)],
            "format the data folder",
        )

    def _properties(self, controller_port: int) -> str:
        listeners = f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller_port}"
        heartbeat_ms = min(2000, self._session_timeout_ms // 4)
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
            "listeners": listeners,
            "advertised.listeners": listeners,
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.data_dir / "log"),
            "auto.create.topics.enable": "false",
            "broker.session.timeout.ms": str(self._session_timeout_ms),
            "broker.heartbeat.interval.ms": str(heartbeat_ms),
            # One node: every internal topic has one copy.
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            # Tests show what happens when a member dies without waiting for six seconds and more.
            "group.min.session.timeout.ms": "1000",
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _wait_until_it_serves(self, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        pause = threading.Event()
        while time.monotonic() < deadline:
            process = self._process
            if process is None or process.poll() is not None:
                raise BrokerFailed(f"the broker ended while starting:\n{self._log_tail()}")
            if registered_brokers(self.port) > 0:
                return
            pause.wait(0.1)
        self.kill()
        raise BrokerFailed(f"no answer within {timeout_seconds:.0f} s:\n{self._log_tail()}")

    def _log_tail(self) -> str:
        if not self.log_path.exists():
            return "(no log)"
        return self.log_path.read_text(encoding="utf-8", errors="replace")[-2000:]


def _controller_port(properties: Path) -> int:
    for line in properties.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name == "controller.quorum.bootstrap.servers":
            return int(value.rpartition(":")[2])
    raise BrokerFailed(f"{properties} names no controller; delete the data folder to start afresh")


def _run(command: list[str], purpose: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BrokerFailed(f"could not {purpose}:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def on_signals(act: Callable[[], None]) -> None:
    """Call `act` once on Ctrl-C or SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: act())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--data", type=Path, default=Path("var/kafka"))
    parser.add_argument("--session-timeout-ms", type=int, default=9000)
    parser.add_argument("--heap-megabytes", type=int, default=512)
    parser.add_argument("--only-fetch", action="store_true", help="copy the jars and end")
    arguments = parser.parse_args()
    problem = missing_tools()
    if problem:
        say(problem)
        return 2
    try:
        if arguments.only_fetch:
            fetch_jars()
            return 0
        broker = Broker(
            arguments.data,
            port=arguments.port,
            session_timeout_ms=arguments.session_timeout_ms,
            heap_megabytes=arguments.heap_megabytes,
        )
        broker.start()
    except BrokerFailed as error:
        say(str(error))
        return 1
    pid = broker.pid
    on_signals(lambda: os.kill(pid, signal.SIGTERM) if pid is not None else None)
    say("press Ctrl-C to stop")
    code = broker.wait()
    say("stopped")
    return 0 if code in {0, 143, -signal.SIGTERM} else 1


if __name__ == "__main__":
    raise SystemExit(main())
