#!/usr/bin/env python3
"""Writes vectors.txt: what the tests need and no RFC has.

An implementation of its own, by the letter of RFC 7296 and RFC 8017, on Python's integers and hashlib. It
needs the openssl command for PSS and to read the keys. Run it in this directory: ./vectors.py > vectors.txt
"""
import hashlib
import hmac
import subprocess

MESSAGE = b"forged"


def show(name, octets):
    print(f"{name} = {octets.hex()}".rstrip())


def wide(number, bits):
    return number.to_bytes(bits // 8, "big")


# MODP groups: the primes by the formula of RFC 3526, not by its hexadecimal digits.
def pi_floor(shift):
    """floor(2^shift * pi), by Machin's formula."""
    guard = shift + 64

    def arctan_inverse(x):
        power = total = (1 << guard) // x
        n, sign = 3, -1
        while power:
            power //= x * x
            total += sign * (power // n)
            n, sign = n + 2, -sign
        return total

    return 4 * (4 * arctan_inverse(5) - arctan_inverse(239)) >> 64


for bits, addend, width in ((2048, 124476, 40), (3072, 1690314, 56), (4096, 240904, 64)):
    p = 2**bits - 2 ** (bits - 64) - 1 + 2**64 * (pi_floor(bits - 130) + addend)
    a = int.from_bytes(hashlib.shake_256(b"a%d" % bits).digest(width), "big")
    b = int.from_bytes(hashlib.shake_256(b"b%d" % bits).digest(width), "big")
    show(f"modp{bits}.prime", wide(p, bits))
    show(f"modp{bits}.a", a.to_bytes(width, "big"))
    show(f"modp{bits}.b", b.to_bytes(width, "big"))
    show(f"modp{bits}.public_a", wide(pow(2, a, p), bits))
    show(f"modp{bits}.public_b", wide(pow(2, b, p), bits))
    show(f"modp{bits}.shared", wide(pow(2, a * b, p), bits))
    # A shared secret that begins with zeros, which stay (RFC 7296 §2.14).
    n = 1
    while pow(2, a * n, p) >> (bits - 8):
        n += 1
    show(f"modp{bits}.zeros_private", n.to_bytes(4, "big"))
    show(f"modp{bits}.zeros_shared", wide(pow(2, a * n, p), bits))


# The key schedule: RFC 7296 §2.13, §2.14, §2.17 and §2.18.
def prf(hash_name, key, data):
    return hmac.new(key, data, hash_name).digest()


def prf_plus(hash_name, key, seed, length):
    out = block = b""
    count = 0
    while len(out) < length:
        count += 1
        block = prf(hash_name, key, block + seed + bytes([count]))
        out += block
    return out[:length]


def cut(stream, *lengths):
    at = 0
    for length in lengths:
        yield stream[at : at + length]
        at += length


def octets(label, length):
    return hashlib.shake_256(label.encode()).digest(length)


def ike_keys(name, hash_name, skeyseed, seed, encryption, integrity):
    size = hashlib.new(hash_name).digest_size
    lengths = (size, integrity, integrity, encryption, encryption, size, size)
    names = ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr")
    keys = dict(zip(names, cut(prf_plus(hash_name, skeyseed, seed, sum(lengths)), *lengths)))
    show(f"{name}.skeyseed", skeyseed)
    for key in names:
        show(f"{name}.{key}", keys[key])
    return keys


def child(name, hash_name, sk_d, shared, ni, nr, encryption, integrity):
    stream = prf_plus(hash_name, sk_d, shared + ni + nr, 2 * (encryption + integrity))
    parts = ("i2r.encryption", "i2r.integrity", "r2i.encryption", "r2i.integrity")
    for part, key in zip(parts, cut(stream, encryption, integrity, encryption, integrity)):
        show(f"{name}.{part}", key)


for name, length in (
    ("key", 32), ("seed", 40), ("ni", 32), ("nr", 48), ("spi_i", 8), ("spi_r", 8), ("shared", 66),
    ("old_sk_d", 32),
):
    show(f"in.{name}", octets(name, length))

show("prf_plus.longest", prf_plus("sha256", octets("key", 32), octets("seed", 40), 255 * 32)[-64:])

# name, hash, octets of encryption (with salt) and integrity keys
SUITES = (
    ("aes256gcm16-prfsha384", "sha384", 36, 0),
    ("aes128-sha256-prfsha256", "sha256", 16, 32),
    ("aes256-sha512-prfsha512", "sha512", 32, 64),
    ("chacha20poly1305-prfsha256", "sha256", 36, 0),
    ("aes192-sha1-prfsha1", "sha1", 24, 20),
)
ni, nr = octets("ni", 32), octets("nr", 48)
spi_i, spi_r, shared = octets("spi_i", 8), octets("spi_r", 8), octets("shared", 66)
for suite, hash_name, encryption, integrity in SUITES:
    skeyseed = prf(hash_name, ni + nr, shared)
    keys = ike_keys(suite, hash_name, skeyseed, ni + nr + spi_i + spi_r, encryption, integrity)
    child(f"{suite}.child", hash_name, keys["sk_d"], b"", ni, nr, encryption, integrity)
    child(f"{suite}.pfs", hash_name, keys["sk_d"], shared, nr, ni, encryption, integrity)

# A rekey that goes from one PRF to another: SKEYSEED by the old one, the rest by the new one.
old_sk_d = octets("old_sk_d", 32)
skeyseed = prf("sha256", old_sk_d, shared + ni + nr)
ike_keys("rekey", "sha512", skeyseed, ni + nr + spi_i + spi_r, 32, 64)


# RSA signatures that a lax verifier takes.
def integers(key_file):
    der = subprocess.run(
        ["openssl", "rsa", "-in", key_file, "-traditional", "-outform", "DER"], check=True, capture_output=True
    ).stdout

    def element(at):
        length = der[at + 1]
        at += 2
        if length & 0x80:
            more = length & 0x7F
            length = int.from_bytes(der[at : at + more], "big")
            at += more
        return at, length

    at, _ = element(0)
    found = []
    while at < len(der):
        at, length = element(at)
        found.append(int.from_bytes(der[at : at + length], "big"))
        at += length
    return found


_, n, e, d, *_ = integers("keys/rsa2048.pk8.pem")
SIZE = 256
HASH = hashlib.sha256(MESSAGE).digest()
PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")


def sign(block):
    assert len(block) == SIZE
    return wide(pow(int.from_bytes(block, "big"), d, n), 2048)


def padded(info, kind=b"\x00\x01", filler=b"\xff"):
    return kind + filler * (SIZE - 3 - len(info)) + b"\x00" + info


show("rsa.good", sign(padded(PREFIX + HASH)))
short = b"\x00\x01" + b"\xff" * 8 + b"\x00" + PREFIX + HASH
show("rsa.garbage_behind", sign(short + octets("garbage", SIZE - len(short))))
show("rsa.zeros_behind", sign(short + bytes(SIZE - len(short))))
show("rsa.no_null", sign(padded(bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + HASH)))
show("rsa.long_length", sign(padded(bytes.fromhex("308131") + PREFIX[2:] + HASH)))
show("rsa.parameters_hide_garbage", sign(padded(
    bytes([0x30, 2 + 77 + 2 + 32, 0x30, 11 + 2 + 64]) + PREFIX[4:15] + b"\x04\x40"
    + octets("parameters", 64) + b"\x04\x20" + HASH)))
show("rsa.no_info", sign(padded(HASH)))
show("rsa.type_2", sign(padded(PREFIX + HASH, kind=b"\x00\x02")))
show("rsa.filler", sign(padded(PREFIX + HASH, filler=b"\xfe")))
show("rsa.plus_modulus", wide(int.from_bytes(sign(padded(PREFIX + HASH)), "big") + n, 2056))

# Without the private key: with an exponent of 3, a cube root whose cube begins as the padding wants it.
_, n3, e3, *_ = integers("keys/rsa2048e3.pk8.pem")
assert e3 == 3
target = int.from_bytes(short, "big") << 8 * (SIZE - len(short))
low, high = 0, 1 << 700
while low < high:
    middle = (low + high) // 2
    low, high = (middle + 1, high) if middle**3 < target else (low, middle)
assert wide(low**3, 2048).startswith(short) and low**3 < n3
show("rsa.cube_root", wide(low, 2048))


def pss(*options):
    command = ["openssl", "dgst", "-sha256", "-sign", "keys/rsa2048.pk8.pem", "-sigopt", "rsa_padding_mode:pss"]
    for option in options:
        command += ["-sigopt", option]
    return subprocess.run(command, input=MESSAGE, check=True, capture_output=True).stdout


show("pss.good", pss("rsa_pss_saltlen:32"))
show("pss.no_salt", pss("rsa_pss_saltlen:0"))
show("pss.short_salt", pss("rsa_pss_saltlen:20"))
show("pss.long_salt", pss("rsa_pss_saltlen:48"))
show("pss.mgf_sha1", pss("rsa_pss_saltlen:32", "rsa_mgf1_md:sha1"))
