#!/bin/sh
# Makes the certificates, keys and revocation lists of the tests, anew and all at once. Every date is
# fixed and the tests bring their own clock, so that nothing here expires. Needs OpenSSL 3.0.
set -eu
cd "$(dirname "$0")"
out=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -f ./*.pem ./*.key ./*.sig
cd "$work"
mkdir issued
echo 1000 >serial
echo unique_subject=no >index.txt.attr

cat >ca.cnf <<CNF
[ca]
default_ca = one
[one]
dir = $work
database = $work/index.txt
new_certs_dir = $work/issued
serial = $work/serial
policy = any
preserve = yes
email_in_dn = yes
unique_subject = no
copy_extensions = none
default_md = sha256
default_crl_days = 1
[any]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = optional
emailAddress = optional
domainComponent = optional
[req]
distinguished_name = none
[none]
[crl]
authorityKeyIdentifier = keyid
[crl_bare]
[crl_users]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical, @users
[users]
onlyuser = TRUE
[crl_authorities]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical, @authorities
[authorities]
onlyCA = TRUE
[crl_indirect]
issuingDistributionPoint = critical, @indirect
[indirect]
indirectCRL = TRUE
[crl_point]
issuingDistributionPoint = critical, @point
[point]
fullname = URI:http://crl.example.org/a.crl
[crl_unknown]
1.3.6.1.4.1.55555.2 = critical, DER:0500
[crl_delta]
2.5.29.27 = critical, DER:020101
CNF

from=20240101000000Z
to=20991231235959Z
digest=sha256
options=

key() { # name, algorithm
    case $2 in
    rsa*) openssl genpkey -quiet -algorithm RSA -pkeyopt "rsa_keygen_bits:${2#rsa}" -out "$1.key" ;;
    ed25519) openssl genpkey -algorithm ED25519 -out "$1.key" ;;
    *) openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$2" -out "$1.key" ;;
    esac
}

# name, key, issuer (or "self"), subject, extensions as lines
issue() {
    : >index.txt
    printf '%s\n' "$5" >ext.cnf
    openssl req -new -utf8 -config ca.cnf -key "$2.key" -subj "$4" -out one.csr
    if [ "$3" = self ]; then
        signer="-selfsign -keyfile $2.key"
    else
        signer="-cert $3.pem -keyfile $3.key"
    fi
    # shellcheck disable=SC2086
    openssl ca -batch -notext -config ca.cnf $signer -in one.csr -out "$1.pem" \
        -startdate "$from" -enddate "$to" -md "$digest" $options -extfile ext.cnf 2>log || {
        cat log >&2
        exit 1
    }
    [ -e "$1.key" ] || cp "$2.key" "$1.key"
}

# name, issuer, extension section, last update, next update, certificates to revoke
crl() {
    name=$1 issuer=$2 section=$3 last=$4 next=$5
    shift 5
    : >index.txt
    for revoked; do
        number=$(openssl x509 -in "$revoked.pem" -noout -serial | cut -d= -f2)
        printf 'R\t991231235959Z\t240601000000Z\t%s\tunknown\t/CN=x\n' "$number" >>index.txt
    done
    echo 01 >crlnumber
    openssl ca -gencrl -config ca.cnf -cert "$issuer.pem" -keyfile "$issuer.key" -crlexts "$section" \
        -crl_lastupdate "$last" -crl_nextupdate "$next" -out "$name.pem" 2>log || {
        cat log >&2
        exit 1
    }
}

ca='basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid'
leaf='keyUsage=critical,digitalSignature
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid'
org=/C=CH/O=Tidegate

for name in root other ca loop1 loop2 loop3 loop4 loop5 loop6 moon; do key "$name" P-256; done
key moon-p384 P-384
key moon-p521 P-521
key moon-ed25519 ed25519
key moon-rsa rsa2048
key moon-rsa3072 rsa3072
key moon-rsa1024 rsa1024
key fabedge-ca rsa4096
cp moon-rsa1024.key weak-ca.key

# The way FabEdge does it: a 4096-bit CA, SHA-384, the connector without alternative names.
digest=sha384
issue fabedge-ca fabedge-ca self "/C=CN/O=fabedge.io/CN=Fabedge CA" "$ca"
issue fabedge-connector moon-rsa fabedge-ca /C=CN/O=fabedge.io/CN=fabedge.connector "$leaf
extendedKeyUsage=serverAuth,clientAuth"
issue fabedge-edge moon-rsa fabedge-ca /C=CN/O=fabedge.io/CN=fabedge.edge1 "$leaf
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=DNS:edge1,IP:10.22.45.16"
digest=sha256

# Roots; the second one has the name of the first and another key.
issue root root self "$org/CN=Root" "$ca"
issue impostor other self "$org/CN=Root" "$ca"
cp other.key impostor.key
issue other other self "$org/CN=Other Root" "$ca"

# One of each key under the root.
names="subjectAltName=DNS:moon.example.org,DNS:*.wild.example.org,email:carol@Example.org,IP:192.0.2.1,IP:2001:db8::1,dirName:dir
[dir]
O=Tidegate
CN=alias"
issue moon moon root "$org/CN=moon.example.net" "$leaf
extendedKeyUsage=1.3.6.1.5.5.7.3.17
$names"
for kind in p384 p521 ed25519 rsa rsa3072 rsa1024; do
    issue "moon-$kind" "moon-$kind" root "$org/CN=moon-$kind" "$leaf"
done
issue bare moon root "$org/CN=bare" ""

# Signature algorithms of CAs.
for digest in sha256 sha384 sha512; do
    issue "by-rsa-$digest" moon fabedge-ca "$org/CN=by-rsa-$digest" "$leaf"
    options="-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest"
    issue "by-pss-$digest" moon fabedge-ca "$org/CN=by-pss-$digest" "$leaf"
    options=
done
digest=sha1
issue by-sha1 moon root "$org/CN=by-sha1" "$leaf"
issue by-rsa-sha1 moon fabedge-ca "$org/CN=by-rsa-sha1" "$leaf"
digest=sha256
options="-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:20"
issue by-pss-salt20 moon fabedge-ca "$org/CN=by-pss-salt20" "$leaf"
options=
for kind in p384:sha384 p521:sha512 ed25519:default; do
    digest=${kind#*:}
    kind=${kind%:*}
    cp "moon-$kind.key" "root-$kind.key"
    issue "root-$kind" "root-$kind" self "$org/CN=Root $kind" "$ca"
    issue "by-$kind" moon "root-$kind" "$org/CN=by-$kind" "$leaf"
done
digest=sha256
cp moon-rsa.key root-rsa.key
issue root-rsa root-rsa self "$org/CN=Root rsa" "$ca"
issue by-root-rsa moon-rsa root-rsa "$org/CN=by-root-rsa" "$leaf"

# Intermediates.
issue int1 ca root "$org/CN=Intermediate 1" "$ca"
issue int2 other int1 "$org/CN=Intermediate 2" "$ca"
issue deep moon int2 "$org/CN=deep" "$leaf"
issue under-int1 moon int1 "$org/CN=under-int1" "$leaf"

previous=root
for number in 1 2 3 4 5 6 7; do
    issue "long$number" ca "$previous" "$org/CN=Long $number" "$ca"
    previous=long$number
done
issue under-long6 moon long6 "$org/CN=under-long6" "$leaf"
issue under-long7 moon long7 "$org/CN=under-long7" "$leaf"

# Validity.
to=20300101000000Z
issue int-brief ca root "$org/CN=Brief Intermediate" "$ca"
to=20991231235959Z
issue under-brief moon int-brief "$org/CN=under-brief" "$leaf"
from=20200101000000Z to=20210101000000Z
issue expired moon root "$org/CN=expired" "$leaf"
issue int-expired ca root "$org/CN=Expired Intermediate" "$ca"
issue root-expired other self "$org/CN=Expired Root" "$ca"
from=20900101000000Z to=20950101000000Z
issue future moon root "$org/CN=future" "$leaf"
from=20240101000000Z to=20991231235959Z
issue under-expired moon int-expired "$org/CN=under-expired" "$leaf"
issue under-root-expired moon root-expired "$org/CN=under-root-expired" "$leaf"

# Basic constraints and path length.
plain='keyUsage=critical,keyCertSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid'
issue int-not-ca ca root "$org/CN=Not a CA" "$plain
basicConstraints=critical,CA:FALSE"
issue under-not-ca moon int-not-ca "$org/CN=under-not-ca" "$leaf"
issue int-no-constraints ca root "$org/CN=No Constraints" "$plain"
issue under-no-constraints moon int-no-constraints "$org/CN=under-no-constraints" "$leaf"
issue int-length0 ca root "$org/CN=Length 0" "$plain
basicConstraints=critical,CA:TRUE,pathlen:0"
issue under-length0 moon int-length0 "$org/CN=under-length0" "$leaf"
issue int-length0-next other int-length0 "$org/CN=Length 0" "$ca"
issue under-length0-next moon int-length0-next "$org/CN=under-length0-next" "$leaf"
issue int-below other int-length0 "$org/CN=Below Length 0" "$ca"
issue under-below moon int-below "$org/CN=under-below" "$leaf"

# Key usage.
issue int-no-sign ca root "$org/CN=No Sign" 'basicConstraints=critical,CA:TRUE
keyUsage=critical,cRLSign
subjectKeyIdentifier=hash'
issue under-no-sign moon int-no-sign "$org/CN=under-no-sign" "$leaf"
issue int-no-crl ca root "$org/CN=No CRL" "$plain
basicConstraints=critical,CA:TRUE"
issue under-no-crl moon int-no-crl "$org/CN=under-no-crl" "$leaf"
issue usage-encipherment moon root "$org/CN=usage" 'keyUsage=critical,keyEncipherment'
issue usage-non-repudiation moon root "$org/CN=usage" 'keyUsage=critical,nonRepudiation'
for pair in any:2.5.29.37.0 ike:1.3.6.1.5.5.7.3.17 ike-intermediate:1.3.6.1.5.5.8.2.2 \
    server:serverAuth client:clientAuth code-signing:codeSigning; do
    issue "eku-${pair%%:*}" moon root "$org/CN=eku" "$leaf
extendedKeyUsage=critical,${pair#*:}"
done

# Extensions.
issue unknown-critical moon root "$org/CN=unknown" "$leaf
1.3.6.1.4.1.55555.2=critical,DER:0500"
issue unknown-harmless moon root "$org/CN=unknown" "$leaf
1.3.6.1.4.1.55555.2=DER:0500"
issue int-unknown ca root "$org/CN=Unknown" "$ca
1.3.6.1.4.1.55555.2=critical,DER:0500"
issue under-unknown moon int-unknown "$org/CN=under-unknown" "$leaf"
# The test changes a byte, which makes these two the same.
issue twins moon root "$org/CN=twins" "$leaf
1.3.6.1.4.1.55555.1=DER:0500
1.3.6.1.4.1.55555.4=DER:0500"
issue policies moon root "$org/CN=policies" "$leaf
certificatePolicies=critical,1.3.6.1.4.1.55555.3"

# Keys.
issue weak-ca weak-ca root "$org/CN=Weak" "$ca"
issue under-weak moon weak-ca "$org/CN=under-weak" "$leaf"

# Issuers that are not to be found, and one that is not the one.
issue stranger moon other "$org/CN=stranger" "$leaf"
issue by-impostor moon impostor "$org/CN=by-impostor" 'keyUsage=critical,digitalSignature
authorityKeyIdentifier=none'
issue by-impostor-keyed moon impostor "$org/CN=by-impostor" "$leaf"
issue self-signed moon self "$org/CN=self-signed" "$leaf"

# Name constraints.
issue int-permitted ca root "$org/CN=Permitted" "$ca
nameConstraints=critical,@subtrees
[subtrees]
permitted;DNS.1=example.org
permitted;email.1=example.org
permitted;IP.1=192.0.2.0/255.255.255.0
permitted;dirName.1=dir
[dir]
C=CH
O=Tidegate"
issue int-excluded ca root "$org/CN=Excluded" "$ca
nameConstraints=critical,@subtrees
[subtrees]
excluded;DNS.1=bad.example.org
excluded;email.1=.bad.example.org
excluded;email.2=mallory@example.org
excluded;IP.1=192.0.2.128/255.255.255.128
excluded;dirName.1=dir
[dir]
C=CH
O=Tidegate
OU=Bad"
issue int-uri ca root "$org/CN=URI" "$ca
nameConstraints=critical,permitted;URI:.example.org"
under() { # name, issuer, subject, alternative names
    issue "$1" moon "$2" "$3" "$leaf
subjectAltName=$4"
}
under nc-good int-permitted "$org/CN=x" DNS:moon.example.org,email:a@example.org,IP:192.0.2.7
under nc-dns int-permitted "$org/CN=x" DNS:moon.example.com
under nc-dns-suffix int-permitted "$org/CN=x" DNS:badexample.org
under nc-email int-permitted "$org/CN=x" email:a@example.com
issue nc-email-subject moon int-permitted "$org/CN=x/emailAddress=a@example.com" "$leaf"
under nc-ip int-permitted "$org/CN=x" IP:192.0.3.1
# Its first bytes are those of the IPv4 range.
under nc-ip6 int-permitted "$org/CN=x" IP:c000:2ff::1
issue nc-dir moon int-permitted "/C=CH/O=Elsewhere/CN=x" "$leaf"
under nc-dir-alt int-permitted "$org/CN=x" "dirName:dir
[dir]
O=Elsewhere"
under nx-good int-excluded "$org/CN=x" DNS:example.org,email:a@bad.example.org,IP:192.0.2.1
under nx-dns int-excluded "$org/CN=x" DNS:very.BAD.example.org
under nx-email int-excluded "$org/CN=x" email:a@very.bad.example.org
under nx-mailbox int-excluded "$org/CN=x" email:mallory@example.org
under nx-ip int-excluded "$org/CN=x" IP:192.0.2.200
issue nx-dir moon int-excluded "$org/OU=bad/CN=x" "$leaf"
under nx-dot int-excluded "$org/CN=x" DNS:bad.example.org.
# Self-issued: a new key of the CA goes free, an end entity of the same name does not.
issue int-permitted-next other int-permitted "$org/CN=Permitted" "$ca
subjectAltName=DNS:elsewhere.example.com"
issue nc-next moon int-permitted-next "$org/CN=x" "$leaf"
under nc-self int-permitted "$org/CN=Permitted" DNS:elsewhere.example.com
issue int-dotted ca root "$org/CN=Dotted" "$ca
nameConstraints=critical,permitted;DNS:.example.org"
under nd-good int-dotted "$org/CN=x" DNS:a.example.org
under nd-itself int-dotted "$org/CN=x" DNS:example.org
# A minimum, which nobody uses, and a mask that is none.
issue int-minimum ca root "$org/CN=Minimum" "$ca
nameConstraints=critical,DER:3014a0123010820b6578616d706c652e6f7267800101"
under under-minimum int-minimum "$org/CN=x" DNS:example.org
issue int-mask ca root "$org/CN=Mask" "$ca
nameConstraints=critical,DER:300ea00c300a8708c0000200ff00ff00"
under under-mask int-mask "$org/CN=x" IP:192.0.2.1
issue int-many ca root "$org/CN=Many" "$ca
nameConstraints=critical,@subtrees
[subtrees]
$(seq 200 | sed 's/.*/excluded;DNS.&=&.example.org/')"
issue under-many moon int-many "$org/CN=x" "$leaf
subjectAltName=@names
[names]
$(seq 300 | sed 's/.*/DNS.&=a&.example.com/')"
under nu-uri int-uri "$org/CN=x" URI:http://moon.example.org/
issue nu-none moon int-uri "$org/CN=x" "$leaf"

# CAs that all have one name and issued one another.
previous=loop6
openssl req -x509 -config ca.cnf -key loop6.key -subj /CN=Loop -out loop6.pem -days 1
for number in 1 2 3 4 5 6; do
    issue "next$number" "loop$number" "$previous" /CN=Loop 'basicConstraints=critical,CA:TRUE'
    mv "next$number.pem" "loop$number.pem"
    rm -f "next$number.key"
    previous=loop$number
done
issue under-loop moon loop6 /CN=under-loop ""

# Revocation.
issue revoked moon root "$org/CN=revoked" "$leaf"
issue int-revoked ca root "$org/CN=Revoked Intermediate" "$ca"
issue under-revoked moon int-revoked "$org/CN=under-revoked" "$leaf"
issue pointed moon root "$org/CN=pointed" "$leaf
crlDistributionPoints=URI:http://crl.example.org/a.crl"
fresh="20240601000000Z 20991231235959Z"
# shellcheck disable=SC2086
{
    crl crl-root root crl $fresh revoked int-revoked pointed
    crl crl-int1 int1 crl $fresh
    crl crl-stale root crl 20230101000000Z 20230201000000Z revoked
    crl crl-stale-empty root crl 20230101000000Z 20230201000000Z
    crl crl-future root crl 20900101000000Z 20910101000000Z
    crl crl-impostor impostor crl_bare $fresh moon
    crl crl-impostor-keyed impostor crl $fresh moon
    crl crl-no-sign int-no-crl crl $fresh
    crl crl-users root crl_users $fresh revoked int-revoked
    crl crl-authorities root crl_authorities $fresh revoked int-revoked
    crl crl-indirect root crl_indirect $fresh
    crl crl-point root crl_point $fresh pointed moon
    crl crl-unknown root crl_unknown $fresh
    crl crl-delta root crl_delta $fresh
}

# What an old peer would sign, which no provider of ours can.
printf 'message, nonce and maced identity' | openssl dgst -sha1 -sign moon-rsa.key -out "$out/rsa-sha1.sig"

for file in *.pem; do cp "$file" "$out/"; done
for name in moon moon-p384 moon-p521 moon-ed25519 moon-rsa moon-rsa3072; do cp "$name.key" "$out/"; done
