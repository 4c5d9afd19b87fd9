# SPDX-License-Identifier: BSD-2-Clause
"""A test with a daemon that serves the function of puppet.c, and what can be asked of that."""
import errno
import struct
import unittest

from client import *  # noqa: F403

PAGE = 4096
COPY, SET_INTX, SEND_VECTOR, FAIL, RUN = range(1, 6)
QUEUES = 20


def order(client, what, *arguments):
    """Tell the puppet something; whether it worked."""
    client.write(1, 1032, struct.pack("<QQQ", *arguments, *[0] * (3 - len(arguments))))
    client.write(1, 1024, struct.pack("<I", what))
    return struct.unpack("<I", client.read(1, 1024, 4))[0] == 1


class Case(unittest.TestCase):
    options = ()

    def setUp(self):
        self.daemon = Daemon("puppet", options=self.options)

    def tearDown(self):
        if self.daemon is not None:
            self.daemon.end()

    def refused(self, number, call, *arguments, **named):
        with self.assertRaises(Refused) as caught:
            call(*arguments, **named)
        self.assertEqual(caught.exception.errno, number)

    def dropped(self, client):
        """The server closes; the daemon goes on."""
        with self.assertRaises((ConnectionResetError, BrokenPipeError)):
            while True:
                client.read_message()
        client.close()
        self.works()

    def works(self):
        with Client(self.daemon) as client:
            self.assertEqual(client.read(CONFIG, 0, 4), b"\xf4\x1a\x01\x10")
