#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# tool_test.sh PORTOLAN_CHECK: its exit statuses, options and messages.
set -euo pipefail
check=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# expect STATUS TEXT ARGUMENTS...: TEXT stands in what it prints.
expect() {
    local wanted=$1 text=$2 status=0 output
    shift 2
    output=$("$check" "$@" 2>&1) || status=$?
    if [ "$status" -ne "$wanted" ] || [[ $output != *"$text"* ]]; then
        printf 'portolan-check %s: status %s, not %s, or no "%s" in:\n%s\n' "$*" "$status" "$wanted" "$text" "$output"
        failed=1
    fi
}

cat >"$work/good.cfg" <<'END'
[pf 01:00.0]
num_vfs = 4
[vm one]
cpus = 2-3
memory = 512M
kernel = boot/vmlinuz
initrd = boot/initrd
vf = 01:00.0/3
END
expect 1 "good.cfg:6: error: the file 'boot/vmlinuz' is missing" "$work/good.cfg"
mkdir "$work/boot"
echo kernel >"$work/boot/vmlinuz"
: >"$work/boot/initrd"
expect 1 "good.cfg:7: error: the file 'boot/initrd' is empty" "$work/good.cfg"
echo initrd >"$work/boot/initrd"
expect 0 "good: 1 VMs, 1 PFs, 2 files" "$work/good.cfg"
expect 0 "" --quiet "$work/good.cfg"
expect 0 "boot/vmlinuz"$'\t'"$work/boot/vmlinuz"$'\n'"boot/initrd"$'\t'"$work/boot/initrd" --list-files "$work/good.cfg"
# The configuration's own folder goes before the other one, and is meant if the file is in neither.
mkdir -p "$work/other/boot"
echo other >"$work/other/boot/vmlinuz"
mv "$work/boot/initrd" "$work/other/boot/initrd"
expect 1 "the file 'boot/initrd' is missing" "$work/good.cfg"
expect 0 "good" --files "$work/other" "$work/good.cfg"
expect 0 $'\t'"$work/boot/vmlinuz"$'\n'"boot/initrd"$'\t'"$work/other/boot/initrd" \
    --files "$work/other" --list-files "$work/good.cfg"
mv "$work/other/boot/initrd" "$work/boot/initrd"
rm -r "$work/other"
expect 0 $'\t'"$work/boot/initrd" --files "$work/other" --list-files "$work/good.cfg"
expect 0 "good" --cpus 4 --memory 1G --pf 01:00.0=8 "$work/good.cfg"
expect 1 "this machine has CPUs 0 to 1" --cpus 2 "$work/good.cfg"
expect 1 "only 256 MiB are left" --memory 256M "$work/good.cfg"
expect 1 "there is no virtio device at 0000:01:00.0" --pf 02:00.0=8 "$work/good.cfg"
expect 1 "no IOMMU" --no-iommu "$work/good.cfg"
expect 2 "--pf does not take 'x'" --pf x "$work/good.cfg"
expect 2 "--cpus does not take '0'" --cpus 0 "$work/good.cfg"
expect 2 "usage:" "$work/good.cfg" "$work/good.cfg"
expect 2 "usage:"
expect 2 "missing.cfg" "$work/missing.cfg"
exit "$failed"
