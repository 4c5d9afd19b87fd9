#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# font.sh FONT.psf.gz OUT: unpack the console font, and check that it is what screen.c draws with.
set -euo pipefail
gzip -dc "$1" >"$2"
header=$(od -An -tx1 -N4 "$2" | tr -d ' ')
case $header in
3604??10) ;;
*)
    echo "font: $1: header $header is not that of a PSF 1 font with glyphs of 8 x 16" >&2
    rm -f "$2"
    exit 1
    ;;
esac
