"""All agents of a fleet come back at once: each is taken in, nobody is sent away, and readers hardly notice.

ABUSE_AGENTS=10000 makes it a large one."""
import asyncio
import http.client
import os
import re
import signal
import struct
import threading
import time

from abuse import AbuseCase, address, raise_descriptors
from wire import SYN, YAMUX_DATA, YAMUX_PING, YAMUX_WINDOW, ACK, Short, fake_node, pack, unpack

AGENTS = int(os.environ.get('ABUSE_AGENTS', '500'))


def node(i):
    return fake_node(f'{i:08x}-aaaa-4000-8000-{i:012}', f'{i:08x}-bbbb-4000-8000-{i:012}',
                     Attributes={'kernel.name': 'linux', 'nomad.version': '1.10.5', 'unique.hostname': f'host{i}',
                                 **{f'driver.attribute.{k}': 'x' * 20 for k in range(60)}})


class FakeAgent:
    """one connection: registers, beats once, and stays"""

    def __init__(self, i):
        self.node, self.i, self.ttl, self.seq = node(i), i, None, 0

    async def call(self, method, body):
        self.seq += 1
        raw = pack({'Seq': self.seq, 'ServiceMethod': method}) + pack(body)
        flags, raw = (SYN, b'\x01' + raw) if self.seq == 1 else (0, raw)
        self.writer.write(struct.pack('>BBHII', 0, YAMUX_DATA, flags, 1, len(raw)) + raw)
        data = b''
        while True:
            head = await self.reader.readexactly(12)
            _, kind, flags, stream, length = struct.unpack('>BBHII', head)
            if kind == YAMUX_PING and flags & SYN:
                self.writer.write(struct.pack('>BBHII', 0, YAMUX_PING, ACK, 0, length))
            if kind != YAMUX_DATA:
                continue
            data += await self.reader.readexactly(length)
            self.writer.write(struct.pack('>BBHII', 0, YAMUX_WINDOW, 0, 1, length))
            try:
                header, at = unpack(data)
                reply, _ = unpack(data, at)
            except Short:
                continue
            if header['Error']:
                raise ValueError(header['Error'])
            return reply

    async def come(self, port, silent_s=0.0):
        self.reader, self.writer = await asyncio.open_connection('127.0.0.1', port, local_addr=(address(self.i), 0))
        await asyncio.sleep(silent_s)
        self.writer.write(b'\x06')
        await self.call('Node.Register', {'Node': self.node, 'Region': 'global', 'AuthToken': ''})
        reply = await self.call('Node.UpdateStatus', {'NodeID': self.node['ID'], 'Status': 'ready', 'Region': 'global',
                                                      'AuthToken': self.node['SecretID']})
        self.ttl = reply['HeartbeatTTL']

    def leave(self):
        self.writer.close()


class Reader(threading.Thread):
    """asks for a short answer again and again, each time on a connection of its own"""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.times, self.failures, self.ended = port, [], [], threading.Event()

    def run(self):
        while not self.ended.wait(0.005):
            began = time.monotonic()
            try:
                c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
                c.request('GET', '/v1/status/leader')
                if c.getresponse().read() == b'':
                    raise ValueError('empty')
                c.close()
            except (OSError, ValueError, http.client.HTTPException) as e:
                self.failures.append(repr(e))
            self.times.append(time.monotonic() - began)


class Stampede(AbuseCase):
    def come(self, srv, agents):
        async def all_of_them():
            return await asyncio.gather(*(a.come(srv.rpc) for a in agents), return_exceptions=True)
        reader = Reader(srv.http)
        reader.start()
        began = time.monotonic()
        results = self.loop.run_until_complete(asyncio.wait_for(all_of_them(), 300))
        took = time.monotonic() - began
        reader.ended.set()
        reader.join()
        failed = [repr(r) for r in results if r is not None]
        self.assertEqual(failed[:5], [])
        self.assertEqual(reader.failures[:5], [])
        ms = sorted(1000 * t for t in reader.times)
        return took, ms[len(ms) // 2], ms[len(ms) * 99 // 100], ms[-1]

    def test_all_agents_come_back_at_once(self):
        raise_descriptors()
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        srv = self.limited(extra='log_level = "DEBUG"', server='heartbeat_grace = "60s"').start().wait()
        for what in ('new', 'after a restart'):
            agents = [FakeAgent(i) for i in range(AGENTS)]
            took, median, p99, longest = self.come(srv, agents)
            print(f'\n{AGENTS} agents, {what}: {took:.1f} s; a read meanwhile {median:.1f} ms, 99 % {p99:.1f}, '
                  f'longest {longest:.1f}')
            nodes = srv.nodes()
            self.assertEqual(len(nodes), AGENTS)
            self.assertEqual({n['Status'] for n in nodes}, {'ready'})
            # what comes together does not stay together
            ttls = sorted(a.ttl for a in agents)
            self.assertGreater(len(set(ttls)), AGENTS // 2)
            self.assertGreater(ttls[-1], ttls[0] * 1.3)
            self.assertEqual(srv.stop(), 0)
            for a in agents:
                a.leave()
            if what == 'new':
                srv.start().wait()
        print(*re.findall(r'callbacks took longer.*', srv.log())[:5], sep='\n')

    def test_a_pause_of_the_program_is_not_held_against_those_who_came(self):
        """their first byte was there in time: it was not looked at"""
        srv = self.limited(server='heartbeat_grace = "60s"').start().wait()
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        agents = [FakeAgent(i) for i in range(50)]

        async def pause():
            tasks = [asyncio.ensure_future(a.come(srv.rpc, silent_s=1)) for a in agents]
            await asyncio.sleep(0.5)  # accepted, and silent so far
            srv.proc.send_signal(signal.SIGSTOP)
            await asyncio.sleep(6.5)  # longer than a first byte may take
            srv.proc.send_signal(signal.SIGCONT)
            return await asyncio.gather(*tasks, return_exceptions=True)
        results = self.loop.run_until_complete(pause())
        self.assertEqual([repr(r) for r in results if r is not None], [])
        for a in agents:
            a.leave()
