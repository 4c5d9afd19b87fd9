#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every source file names its licence, and only the QEMU device is under the GPL.
set -euo pipefail
failed=0 files=0
while IFS= read -r file; do
    files=$((files + 1))
    case $file in
    tests/qemu-device/*) want='GPL-2.0-or-later' ;;
    *) want='BSD-2-Clause' ;;
    esac
    head -n 3 "$file" | grep -q "SPDX-License-Identifier: $want" ||
        { echo "licences: $file: no 'SPDX-License-Identifier: $want' in its first lines"; failed=1; }
done < <(git ls-files '*.c' '*.h' '*.S' '*.lds' '*.sh' '*.py' '*.cmake' '*CMakeLists.txt' '*.asl' portolan .ci/run)
[ "$files" -gt 10 ] || { echo "licences: only $files files found: not a checkout?"; exit 1; }
echo "licences: $files files"
exit "$failed"
