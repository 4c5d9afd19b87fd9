# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# For image.sh and iso.sh: read_files BUILD CFG TMP checks CFG as the VMM does, and fills 'names' and 'paths' with its
# files. A kernel that is packed with gzip is unpacked in TMP: no loader of ours does so (docs/loading.md).
read_files() {
    local check=("$1/portolan-check" --files "$1/linux") cfg=$2 tmp=$3 name path form
    names=() paths=()
    # A bad configuration would only fail on the server: refuse it here, with the VMM's own words.
    "${check[@]}" --quiet "$cfg" || return
    while IFS=$'\t' read -r name path form; do
        if [ "$form" = gzip ]; then
            gzip -dc "$path" >"$tmp/unpacked-${#names[@]}"
            path=$tmp/unpacked-${#names[@]}
        fi
        names+=("$name") paths+=("$path")
    done < <("${check[@]}" --list-files "$cfg")
}
