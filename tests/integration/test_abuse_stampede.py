"""All agents of a fleet come at once, or back: each is taken in, nobody is marked down, and readers are served meanwhile.

SIM_AGENTS=10000 makes it a large one."""
import http.client
import os
import re
import signal
import threading
import time

from abuse import AbuseCase, address, dial, raise_descriptors
from fleet import AGENTS, Fleet, Sim
from wire import Rpc, wait_until


class Reader(threading.Thread):
    """asks the same again and again, each time on a connection of its own"""

    def __init__(self, port, path):
        super().__init__(daemon=True)
        self.port, self.path, self.times, self.failures, self.ended = port, path, [], [], threading.Event()

    def run(self):
        while not self.ended.wait(0.01):
            began = time.monotonic()
            try:
                c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
                c.request('GET', self.path)
                r = c.getresponse()
                if r.status != 200 or not r.read():
                    raise ValueError(r.status)
                c.close()
            except (OSError, ValueError, http.client.HTTPException) as e:
                self.failures.append(repr(e))
            self.times.append(time.monotonic() - began)

    def end(self):
        self.ended.set()
        self.join()
        ms = sorted(1000 * t for t in self.times)
        return f'{self.path[:12]} p50 {ms[len(ms) // 2]:.1f}, p99 {ms[len(ms) * 99 // 100]:.1f}, longest {ms[-1]:.1f} ms'


class Stampede(Sim):
    """with the shortest grace that a server gives after its start: a few seconds behind the TTLs"""

    def setUp(self):
        raise_descriptors()
        self.srv = self.server(server='heartbeat_grace = "10s" min_heartbeat_ttl = "3s"' if AGENTS < 3000 else '')
        self.srv.start().wait()
        self.fleet = Fleet(self.srv)
        self.addCleanup(self.fleet.cleanup)
        self.join(self.fleet)
        self.before = self.fleet.status()
        self.node = self.srv.nodes('?per_page=1')[0]['ID']

    def back(self, what, begin):
        """all are ready, and what is said of it: nobody was down, each had its answers"""
        readers = [Reader(self.srv.http, path) for path in ('/v1/nodes?per_page=1', '/v1/node/' + self.node)]
        for r in readers:
            r.start()
        begin()
        began = time.monotonic()
        status = self.fleet.wait(ready=AGENTS, seconds=240)
        took = time.monotonic() - began
        with open(f'/proc/{self.srv.proc.pid}/stat', encoding='ascii') as f:
            fields = f.read().rpartition(')')[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
        said = [r.end() for r in readers]
        print(f'\n{AGENTS} agents, {what}: all ready after {took:.1f} s, {cpu:.2f} s of CPU; reads meanwhile: ' + '; '.join(said))
        self.assertEqual([r.failures[:5] for r in readers], [[], []])
        self.assertEqual(self.at_server(self.srv), {'ready': AGENTS})
        self.assertEqual((status['missed'], status['errors']), (self.before['missed'], self.before['errors']))
        self.assertEqual(re.findall('heartbeat missed.*', self.srv.log())[:3], [])
        return status

    def restarted(self, how):
        self.srv.proc.send_signal(how)
        self.srv.proc.wait()
        self.srv.start().wait()
        status = self.back(f'back after {how.name}', lambda: None)
        wait_until('each has connected again', lambda: self.fleet.status()['reconnects'] >= self.before['reconnects'] + AGENTS)
        self.assertEqual(status['agents'], AGENTS)

    def test_back_after_a_crash_of_the_server(self):
        self.restarted(signal.SIGKILL)

    def test_back_after_a_stop_of_the_server(self):
        self.restarted(signal.SIGTERM)

    def test_all_within_a_second(self):
        """processes and server start anew: all connect, register and beat at once"""
        self.fleet.do('drop all')
        self.fleet.wait(dead=AGENTS)
        self.srv.kill()
        self.srv.start().wait()
        status = self.back('within a second', lambda: (self.fleet.do('restart all over 1s'), time.sleep(1)))
        self.assertEqual(status['calls']['Node.Register']['count'] - self.before['calls']['Node.Register']['count'], AGENTS)


class Pause(AbuseCase):
    def test_a_pause_of_the_program_is_not_held_against_those_who_came(self):
        """their first byte was there in time: it was not looked at"""
        srv = self.limited(server='heartbeat_grace = "60s"').start().wait()
        came = []
        for i in range(50):
            r = Rpc.__new__(Rpc)
            r.sock, r.next_id, r.seq, r.inbox = dial(srv.rpc, address(i), 30), 1, 0, b''
            self.addCleanup(r.close)
            came.append(r)
        time.sleep(0.5)  # accepted, and silent so far
        srv.proc.send_signal(signal.SIGSTOP)
        for r in came:
            r.sock.sendall(b'\x06')
            r.send(r.open(), 'Status.Ping', {})
        time.sleep(6.5)  # longer than a first byte may take
        srv.proc.send_signal(signal.SIGCONT)
        for r in came:
            self.assertEqual(r.receive(1)[1], {})
