# SPDX-License-Identifier: BSD-2-Clause
"""chart.py FILE...: draws docs/performance.svg, each exit beside KVM's, from what bench.py and vfbench.py have printed.

By hand; needs gnuplot (Debian: gnuplot-nox). FILE has lines 'bench NAME VALUE instructions peer=VALUE'; what has no peer is left out.
"""

import os
import re
import subprocess
import sys

SVG = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "performance.svg")
LINE = re.compile(r"^bench (\w+) (\d+) instructions peer=(\d+)$", re.M)

PLOT = """
set terminal svg size 900,520 font "sans,12" background "white"
set output "{svg}"
set title "Instructions of the hypervisor for each exit: fewer are better"
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set boxwidth 0.9
set logscale y
set yrange [50:30000]
set grid ytics lc rgb "#cccccc"
set xtics rotate by -45 nomirror
set key top left
set border 3
set ytics nomirror
set rmargin 9
plot "-" using 2:xtic(1) title "Portolan" lc rgb "#1b6ca8", "-" using 3:xtic(1) title "Linux KVM" lc rgb "#c8a96a"
"""


def main():
    rows = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            rows += LINE.findall(file.read())
    if not rows:
        sys.exit("no lines of figures with a peer in " + " ".join(sys.argv[1:]))
    rows.sort(key=lambda row: int(row[1]) / int(row[2]))
    data = "".join(f'"{name.replace("_", " ")}" {own} {peer}\n' for name, own, peer in rows) + "e\n"
    subprocess.run(["gnuplot"], input=PLOT.format(svg=os.path.normpath(SVG)) + data * 2, text=True, check=True)


main()
