"""Tidegate by ctypes: two managers in one process, and a packet from one to the other.

    TIDEGATE_LIBRARY=…/libtidegate.so python3 tidegate.py

Only what this takes is declared here; include/tidegate.h has the rest.
"""

import ctypes as c
import json
import os
import select
import struct

library = c.CDLL(os.environ.get("TIDEGATE_LIBRARY", "libtidegate.so.1"))

DEVICE_CALLS = 4
ACTION_INITIATE = 1
PORT_ANY = 0xFFFFFFFF


class Text(c.Structure):
    """A text or bytes of somebody else's."""

    _fields_ = [("data", c.c_char_p), ("length", c.c_size_t)]

    @staticmethod
    def of(value):
        data = value.encode() if isinstance(value, str) else value
        return Text(data, len(data))


class Buffer(c.Structure):
    """A text of ours, to be given back."""

    _fields_ = [("data", c.c_void_p), ("length", c.c_size_t)]


class Address(c.Structure):
    _fields_ = [
        ("family", c.c_uint8),
        ("reserved", c.c_uint8),
        ("port", c.c_uint16),
        ("scope", c.c_uint32),
        ("octets", c.c_uint8 * 16),
    ]


class Sized(c.Structure):
    """A struct that begins with its size."""

    def __init__(self, **fields):
        super().__init__(size=c.sizeof(type(self)), **fields)


class Options(Sized):
    _fields_ = [
        ("size", c.c_size_t),
        ("config", Text),
        ("folder", Text),
        ("credentials", c.c_void_p),
        ("listen", c.POINTER(Address)),
        ("listen_count", c.c_size_t),
        ("ike_port", c.c_uint32),
        ("nat_port", c.c_uint32),
        ("device", c.c_uint32),
        ("device_fd", c.c_int32),
        ("device_name", Text),
        ("mtu", c.c_uint32),
        ("routes", c.c_uint32),
        ("packet_threads", c.c_uint32),
        ("lists", c.c_uint32),
        ("lists_folder", Text),
        ("context", c.c_void_p),
        ("on_event", c.c_void_p),
        ("on_packet", c.c_void_p),
    ]


class Target(Sized):
    _fields_ = [
        ("size", c.c_size_t),
        ("connection", Text),
        ("child", Text),
        ("ike_sa", c.c_uint64),
        ("spi", c.c_uint32),
        ("reqid", c.c_uint32),
    ]


class TidegateError(Exception):
    """What the library says of a call that failed."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


library.tidegate_error_message.restype = Text
library.tidegate_error_message.argtypes = [c.c_void_p]
library.tidegate_error_free.argtypes = [c.c_void_p]
library.tidegate_credentials_new.restype = c.c_void_p
library.tidegate_credentials_free.argtypes = [c.c_void_p]
library.tidegate_manager_free.argtypes = [c.c_void_p]
library.tidegate_status_free.argtypes = [c.c_void_p]


def call(name, *arguments):
    """Calls a function that can fail."""
    error = c.c_void_p()
    code = getattr(library, name)(*arguments, c.byref(error))
    if code != 0:
        text = library.tidegate_error_message(error)
        message = c.string_at(text.data, text.length).decode()
        library.tidegate_error_free(error)
        raise TidegateError(code, message)


class Manager:
    """A running engine. Packets come and go by calls."""

    def __init__(self, config, secrets):
        credentials = c.c_void_p(library.tidegate_credentials_new())
        try:
            for name, content in secrets.items():
                call("tidegate_credentials_add", credentials, Text.of(name), Text.of(content))
            options = Options(config=Text.of(config), credentials=credentials, device=DEVICE_CALLS,
                              ike_port=PORT_ANY, nat_port=PORT_ANY)
            self.handle = c.c_void_p()
            call("tidegate_manager_new", c.byref(options), c.byref(self.handle))
        finally:
            library.tidegate_credentials_free(credentials)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        library.tidegate_manager_free(self.handle)
        self.handle = None

    def port(self):
        ike, nat = c.c_uint16(), c.c_uint16()
        call("tidegate_manager_ports", self.handle, c.byref(ike), c.byref(nat))
        return nat.value

    def load(self, text):
        call("tidegate_manager_load", self.handle, Text.of(text))

    def initiate(self, connection, milliseconds=10000):
        target = Target(connection=Text.of(connection))
        call("tidegate_manager_run", self.handle, c.c_uint32(ACTION_INITIATE), c.byref(target),
             c.c_uint32(milliseconds), None)

    def status(self):
        status, text = c.c_void_p(), Buffer()
        call("tidegate_manager_status", self.handle, c.byref(status))
        try:
            call("tidegate_status_json", status, c.byref(text))
            return json.loads(c.string_at(text.data, text.length))
        finally:
            library.tidegate_buffer_free(c.byref(text))
            library.tidegate_status_free(status)

    def send(self, packet):
        call("tidegate_manager_send_packet", self.handle, Text.of(packet))

    def receive(self, seconds=10):
        fd = c.c_int32()
        call("tidegate_manager_packet_fd", self.handle, c.byref(fd))
        if not select.select([fd.value], [], [], seconds)[0]:
            raise TimeoutError("no packet came")
        room = c.create_string_buffer(65536)
        length = c.c_size_t(len(room))
        call("tidegate_manager_next_packet", self.handle, room, c.byref(length))
        return room.raw[:length.value]


def udp(source, destination, payload):
    """An IPv4 packet with a datagram in it."""
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0,
                         bytes(map(int, source.split("."))), bytes(map(int, destination.split("."))))
    total = sum(struct.unpack(">10H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack(">H", total ^ 0xFFFF) + header[12:]
    return header + struct.pack(">HHHH", 7, 7, 8 + len(payload), 0) + payload


def node(name, address):
    return f'[node]\nname = "{name}"\nlisten = ["{address}"]\n'


def connection(peer, address, port, local, remote):
    return f"""
        [[connection]]
        name = "peer"
        [connection.remote]
        id = "{peer}"
        addresses = ["{address}"]
        port = {port}
        psk_file = "secret"
        [[connection.child]]
        name = "net"
        local = ["{local}"]
        remote = ["{remote}"]
        """


def main():
    secrets = {"secret": "known to both"}
    with Manager(node("a", "127.0.93.1"), secrets) as a, Manager(node("b", "127.0.93.2"), secrets) as b:
        a.load(connection("b", "127.0.93.2", b.port(), "10.1.0.0/16", "10.2.0.0/16"))
        b.load(connection("a", "127.0.93.1", a.port(), "10.2.0.0/16", "10.1.0.0/16"))
        try:
            a.initiate("nobody")
        except TidegateError as error:
            print(f"as expected: {error}")
        a.initiate("peer")
        print("state:", a.status()[0]["state"])
        a.send(udp("10.1.0.1", "10.2.0.1", b"hello"))
        print("through the tunnel:", b.receive()[28:].decode())


if __name__ == "__main__":
    main()
