#!/bin/sh
# Installs what `cargo build --release -p tidegate-ffi` has built: libraries, header, pkg-config file.
#
#   PREFIX=/usr/local        where it goes
#   LIBDIR=$PREFIX/lib       where libraries go
#   DESTDIR=                 in front of all that, for packages
#   FROM=target/release      where libtidegate_ffi.so and libtidegate_ffi.a are
#
# `cargo cinstall` does the same for those who have cargo-c.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
destdir=${DESTDIR:-}
from=${FROM:-$here/../target/release}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$here/../Cargo.toml")

install -d "$destdir$prefix/include" "$destdir$libdir/pkgconfig"
install -m 644 "$here/include/tidegate.h" "$destdir$prefix/include/tidegate.h"
install -m 644 "$from/libtidegate_ffi.a" "$destdir$libdir/libtidegate.a"
# The loader looks for the name of the interface, the linker for the plain one.
install -m 755 "$from/libtidegate_ffi.so" "$destdir$libdir/libtidegate.so.1.0.0"
ln -sf libtidegate.so.1.0.0 "$destdir$libdir/libtidegate.so.1"
ln -sf libtidegate.so.1 "$destdir$libdir/libtidegate.so"
sed -e "s|@PREFIX@|$prefix|" -e "s|@LIBDIR@|$libdir|" -e "s|@VERSION@|$version|" "$here/tidegate.pc.in" \
    >"$destdir$libdir/pkgconfig/tidegate.pc"
