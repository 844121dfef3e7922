#!/usr/bin/env python3
"""A network that fails on command: forwards TCP to one address, on loopback, for tests.

  tools/fault_proxy.py 40123 127.0.0.1:5432     listens on 40123, prints "ready", and forwards until its input ends

A line of input is a command, answered by "ok" or "error: ...":

  delay 300       answers come 300 ms later; nothing is held up behind another
  lose 5          of 100 segments of 1,448 bytes five are lost, in each direction: each waits for the retransmission that TCP makes
                  after 200 ms, 400 when that is lost too, and so on, and what was sent after it waits with it
  partition       nothing goes through; who has a connection keeps it, who makes one gets no answer on it
  heal            all of it ends; what was held goes on

Why not tc-netem: it wants a kernel that has it and a right to it. Here loss is its effect on TCP without fast retransmission, so rather
worse than in a network; delay and partition are what a caller would see of real ones, except that a connection is still made.
"""
import asyncio
import random
import sys

SEGMENT = 1448
RETRANSMISSION = 0.2  # seconds, as Linux has it at least
CHUNK = 64 << 10
HELD = 256  # chunks of a direction


class Faults:
    def __init__(self):
        self.delay = 0.0  # seconds
        self.loss = 0.0
        self.healed = asyncio.Event()  # no partition
        self.healed.set()
        self.draw = random.Random(7)

    def stall(self, size: int) -> float:
        """Seconds that a chunk of this size waits for its retransmissions."""
        longest = 0.0
        for _ in range(0, size, SEGMENT) if self.loss else ():
            waited, pause = 0.0, RETRANSMISSION
            while self.draw.random() < self.loss:
                waited += pause
                pause *= 2
            longest = max(longest, waited)
        return longest

    def obey(self, line: str) -> None:
        command, _, value = line.partition(" ")
        if command == "delay":
            self.delay = float(value) / 1000
        elif command == "lose":
            self.loss = float(value) / 100
        elif command == "partition":
            self.healed.clear()
        elif command == "heal":
            self.delay = self.loss = 0.0
            self.healed.set()
        else:
            raise ValueError(f"there is no command '{line}'")


async def forward(faults: Faults, source: asyncio.StreamReader, sink: asyncio.StreamWriter, delayed: bool) -> None:
    """One direction, until its end, which is passed on."""
    held: asyncio.Queue = asyncio.Queue(HELD)
    now = asyncio.get_running_loop().time

    async def take() -> None:
        due = 0.0
        while True:
            try:
                chunk = await source.read(CHUNK)
            except OSError:
                chunk = b""
            due = max(due, now() + (faults.delay if delayed else 0.0) + faults.stall(len(chunk)))
            await held.put((due, chunk))
            if not chunk:
                return

    taking = asyncio.create_task(take())
    try:
        while True:
            due, chunk = await held.get()
            await asyncio.sleep(max(0.0, due - now()))
            await faults.healed.wait()
            if not chunk:
                break
            sink.write(chunk)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
    except OSError:
        sink.close()  # the other direction ends too
    finally:
        taking.cancel()


async def serve(port: int, host: str, to: int) -> None:
    faults = Faults()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = None
        try:
            await faults.healed.wait()
            from_there, there = await asyncio.open_connection(host, to)
            await asyncio.gather(forward(faults, reader, there, False), forward(faults, from_there, writer, True))
        except (OSError, asyncio.CancelledError):  # cancelled at the end of all
            pass
        finally:
            writer.close()
            if there:
                there.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, backlog=1024)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print("ready", flush=True)
    while line := (await commands.readline()).decode().strip():
        try:
            faults.obey(line)
            print("ok", flush=True)
        except ValueError as error:
            print(f"error: {error}", flush=True)
    server.close()


def main() -> None:
    host, _, to = sys.argv[2].rpartition(":")
    asyncio.run(serve(int(sys.argv[1]), host, int(to)))


if __name__ == "__main__":
    main()
