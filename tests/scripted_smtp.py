"""A mail server that does as it is told: accepts, refuses, or hangs up in the middle."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default as modern
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread


@dataclass
class Script:
    """What the server answers, by command ("RCPT", "DATA", "." for the end of the content), and what it got."""

    answers: dict[str, str] = field(default_factory=dict)
    hangs_up_after_content: bool = False
    port: int = 0
    contents: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    def mails(self) -> list[Message]:
        """Return every mail whose content arrived, accepted or not."""
        return [message_from_bytes(content, policy=modern) for content in self.contents]


@contextmanager
def smtp_server() -> Iterator[Script]:
    """Serve on a free loopback port until the block is left."""
    script = Script()

    class Session(_Session):
        played = script

    with ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        script.port = server.server_address[1]
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield script
        server.shutdown()


class _Session(StreamRequestHandler):
    played: Script

    def handle(self) -> None:
        self._say("220 scripted ESMTP")
        while line := self.rfile.readline():
            verb = line.split()[0].decode().upper() if line.split() else ""
            if verb == "RCPT":
                self.played.recipients.append(line.decode().partition("<")[2].partition(">")[0])
            answer = self.played.answers.get(verb, {"DATA": "354 go on", "QUIT": "221 bye"}.get(verb, "250 ok"))
            self._say(answer)
            if verb == "DATA" and answer.startswith("354") and not self._take_content():
                return
            if verb == "QUIT":
                return

    def _take_content(self) -> bool:
        """Read until the lone dot; false when the script says to hang up then."""
        content = b""
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            content += line.removeprefix(b".") if line.startswith(b"..") else line
        self.played.contents.append(content)
        if self.played.hangs_up_after_content:
            return False
        self._say(self.played.answers.get(".", "250 accepted"))
        return True

    def _say(self, answer: str) -> None:
        self.wfile.write(answer.encode() + b"\r\n")
