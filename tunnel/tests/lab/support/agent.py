"""Does calls of vici that it reads as JSON, and writes as JSON what came of each.

Each call is a session of its own with two connections, and packets are read by plain reads: first four bytes, then
the rest at once. That is how FabEdge's agents do it, by way of govici.
"""

import concurrent.futures
import json
import socket
import struct
import sys
import time

import vici
from vici.protocol import Transport


class PlainTransport(Transport):
    """Takes what one read gives for the whole of what was asked for."""

    def receive(self):
        header = self.socket.recv(4)
        (length,) = struct.unpack("!I", header)
        packet = self.socket.recv(length)
        if len(packet) != length:
            raise RuntimeError(f"of {length} bytes one read gave {len(packet)}")
        return packet


def connect(path):
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(path)
    session = vici.Session(stream)
    session.transport = PlainTransport(stream)
    return session, stream


def text(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {key: text(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [text(entry) for entry in value]
    return value


def do(path, call):
    name, message = call["command"], call.get("message", {})
    start = time.monotonic()
    outcome = {"error": None, "events": [], "reply": {}}
    (commands, first), (_, second) = connect(path), connect(path)
    try:
        if "event" in call:
            events = commands.streamed_request(name, call["event"], message)
            outcome["events"] = [text(event) for event in events]
        else:
            outcome["reply"] = text(commands.request(name, message) or {})
    except vici.exception.CommandException as failure:
        outcome["error"] = str(failure)
    finally:
        first.close()
        second.close()
    outcome["seconds"] = time.monotonic() - start
    return outcome


def main():
    path, width = sys.argv[1], int(sys.argv[2])
    calls = json.load(sys.stdin)
    with concurrent.futures.ThreadPoolExecutor(width) as pool:
        json.dump(list(pool.map(lambda call: do(path, call), calls)), sys.stdout)


main()
