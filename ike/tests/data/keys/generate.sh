#!/bin/sh
# Makes the keys of the tests anew: every kind, in every form it is found in. They protect nothing.
set -eu
cd "$(dirname "$0")"

for bits in 1024 2048 3072 4096; do
    openssl genrsa -out "rsa$bits.pk8.pem" "$bits"
done
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3 -out rsa2048e3.pk8.pem
for curve in prime256v1:p256 secp384r1:p384 secp521r1:p521; do
    openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:${curve%:*}" -out "${curve#*:}.pk8.pem"
done
openssl genpkey -algorithm ED25519 -out ed25519.pk8.pem
# What no provider takes.
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out k256.pk8.pem
openssl genpkey -algorithm X25519 -out x25519.pk8.pem

openssl rsa -in rsa2048.pk8.pem -traditional -out rsa2048.pkcs1.pem
openssl rsa -in rsa1024.pk8.pem -traditional -out rsa1024.pkcs1.pem
for key in p256 p384 p521; do
    openssl ec -in "$key.pk8.pem" -out "$key.sec1.pem"
    openssl ec -in "$key.pk8.pem" -no_public -out "$key.nopub.pem"
done
openssl pkcs8 -topk8 -in p256.pk8.pem -passout pass:tidegate -out p256.encrypted.pem
for key in rsa1024 rsa2048 rsa2048e3 rsa3072 rsa4096 p256 p384 p521 ed25519 k256; do
    openssl pkey -in "$key.pk8.pem" -pubout -out "$key.pub.pem"
done
