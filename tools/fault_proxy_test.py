#!/usr/bin/env python3
"""The proxy that fails on command: forwards whole, answers late but not one after the other, loses, and cuts off until it is healed."""
import socket
import socketserver
import sys
import threading
import time
import unittest

import cluster


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(1 << 16):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


class FaultProxy(unittest.TestCase):
    def setUp(self) -> None:
        self.server = Server(("127.0.0.1", 0), Echo)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.proxy = cluster.Proxy(f"127.0.0.1:{self.server.server_address[1]}", sys.stderr)
        self.connection = self.connect()

    def tearDown(self) -> None:
        self.connection.close()
        self.proxy.close()
        self.server.shutdown()
        self.server.server_close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.proxy.port), 10)

    def answer(self, connection: socket.socket, size: int) -> bytes:
        got = b""
        while len(got) < size:
            part = connection.recv(size - len(got))
            self.assertTrue(part, "the connection goes on")
            got += part
        return got

    def seconds(self, what: bytes) -> float:
        start = time.monotonic()
        self.connection.sendall(what)
        self.assertEqual(self.answer(self.connection, len(what)), what)
        return time.monotonic() - start

    def test_forwards_whole_and_passes_the_end_on(self) -> None:
        data = bytes(range(256)) * 4096
        sender = threading.Thread(target=self.connection.sendall, args=(data,))
        sender.start()
        self.assertEqual(self.answer(self.connection, len(data)), data)
        sender.join()
        self.connection.shutdown(socket.SHUT_WR)
        self.assertEqual(self.connection.recv(1), b"")

    def test_answers_come_late_and_no_later(self) -> None:
        self.proxy.tell("delay 300")
        for number in range(20):
            time.sleep(0.01)  # so that each is a chunk
            sent = time.monotonic()
            self.connection.sendall(bytes([number]))
        self.assertEqual(self.answer(self.connection, 20), bytes(range(20)))
        took = time.monotonic() - sent
        self.assertGreaterEqual(took, 0.29)  # a clock may be a little early
        self.assertLess(took, 19 * 0.3)  # as long as one behind the other would take
        self.proxy.tell("heal")

    def test_what_is_lost_is_sent_again_later(self) -> None:
        self.proxy.tell("lose 50")
        times = [self.seconds(b"x") for _ in range(8)]
        self.assertGreaterEqual(max(times), 0.2)
        self.proxy.tell("lose 0")
        self.seconds(b"x")

    def test_a_partition_is_silent_and_ends(self) -> None:
        self.proxy.tell("partition")
        self.connection.sendall(b"kept")
        made = self.connect()
        made.sendall(b"made")
        for connection in (self.connection, made):
            connection.settimeout(0.3)
            self.assertRaises(TimeoutError, connection.recv, 1)
            connection.settimeout(10)
        self.proxy.tell("heal")
        self.assertEqual(self.answer(self.connection, 4), b"kept")
        self.assertEqual(self.answer(made, 4), b"made")
        made.close()

    def test_refuses_what_it_does_not_know(self) -> None:
        self.assertRaisesRegex(RuntimeError, "no command 'explode'", self.proxy.tell, "explode")
        self.assertRaisesRegex(RuntimeError, "error", self.proxy.tell, "delay long")


if __name__ == "__main__":
    unittest.main()
