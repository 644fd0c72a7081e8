"""Does what agents do, which it reads as JSON, and writes as JSON what came of it.

An agent makes its calls of vici one after the other, at a socket; agents work side by side. Each call is a session of
its own with two connections, and packets are read by plain reads: first four bytes, then the rest at once. That is
how FabEdge's agents do it, by way of govici.
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


def work(agent):
    return [do(agent["socket"], call) for call in agent["calls"]]


def main():
    width = int(sys.argv[1])
    agents = json.load(sys.stdin)
    with concurrent.futures.ThreadPoolExecutor(width) as pool:
        json.dump(list(pool.map(work, agents)), sys.stdout)


main()
