# SPDX-License-Identifier: GPL-2.0-or-later
"""run.py PLUGIN.so [MODULE...]: the tests of the device, all or those of some modules."""

import os
import sys
import unittest


def main():
    if len(sys.argv) < 2 or not os.path.exists(sys.argv[1]):
        sys.exit(__doc__)
    folder = os.path.dirname(os.path.abspath(__file__))
    os.environ["PORTOLAN_MMR_SO"] = os.path.abspath(sys.argv[1])
    sys.path.insert(0, folder)
    loader = unittest.defaultTestLoader
    names = sys.argv[2:]
    suite = loader.loadTestsFromNames(names) if names else loader.discover(folder)
    done = unittest.TextTestRunner(verbosity=2).run(suite)
    sys.exit(0 if done.wasSuccessful() and done.testsRun else 1)


main()
