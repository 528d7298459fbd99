"""Heartbeats while everything around them hangs: not one late, measured where they arrive; late ones are explained."""
import os
import shutil
import signal
import subprocess
import time

from programs import BIN, ProgramCase, get_json
from standin import StandIn, Tap
from wire import wait_until

TTL, GRACE = 2, 6
SERVER = f'min_heartbeat_ttl = "{TTL}s" heartbeat_grace = "{GRACE}s"'


def wrapper(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write('#!/bin/sh\n' + text + '\n')
    os.chmod(path, 0o755)


class StressCase(ProgramCase):
    def tapped(self, **kwargs):
        """a real server with a tap in front that it tells everybody to use"""
        srv = self.server(server=SERVER)
        tap = Tap(srv.rpc)
        self.addCleanup(tap.close)
        with open(srv.config_path, encoding='utf-8') as f:
            text = f.read()
        srv.write_config(text.replace('advertise { http = "127.0.0.1" rpc = "127.0.0.1" }',
                                      f'advertise {{ http = "127.0.0.1" rpc = "127.0.0.1:{tap.rpc}" }}'))
        srv.start().wait()
        return srv, tap

    def standin(self, **kwargs):
        s = StandIn(ttl=TTL, **kwargs)
        self.addCleanup(s.close)
        return s

    def with_probe(self, agent, script):
        """picketd beside a picket-probe of the test's own"""
        agent.bin = self.tmpdir()
        os.chmod(agent.bin, 0o755)
        shutil.copy(os.path.join(BIN, 'picketd'), agent.bin)
        wrapper(os.path.join(agent.bin, 'picket-probe'), script)
        return agent

    def started(self, server, tap, **kwargs):
        agt = self.agent([tap], **kwargs).start().wait_api()
        self.ready(server, agt.node_id())
        return agt

    def beats_go_on(self, beats, n=3, seconds=90):
        had = len(beats.at)
        wait_until(f'{n} more beats', lambda: len(beats.at) >= had + n, seconds)

    def in_time(self, beats, since=0.0):
        gaps = beats.gaps(since)
        self.assertTrue(gaps)
        for gap, ttl in gaps:
            self.assertLessEqual(gap, ttl + GRACE / 2, gaps)

    def event(self, server, node_id, start, seconds=60):
        """the first event whose message begins so, once it is there"""
        def look():
            return [e for e in server.node(node_id)['Events'] if e['Message'].startswith(start)]
        return wait_until(f'event "{start}"', look, seconds)[0]

    def never_down(self, server, node_id):
        texts = [e['Message'] for e in server.node(node_id)['Events']]
        self.assertNotIn('Node heartbeat missed', texts)
        self.assertEqual(server.node(node_id)['Status'], 'ready')


class Inside(StressCase):
    """what hangs is on this host"""

    def test_every_probe_hangs(self):
        srv, tap = self.tapped()
        agt = self.with_probe(self.agent([tap]), 'exec sleep 1000').start().wait_api()
        self.ready(srv, agt.node_id(), 60)
        self.beats_go_on(tap.beats, 4)
        self.in_time(tap.beats)
        self.never_down(srv, agt.node_id())

    def test_names_are_never_resolved(self):
        srv, tap = self.tapped()
        real = os.path.abspath(os.path.join(BIN, 'picket-probe'))
        agt = self.agent([tap])
        with open(agt.config_path, encoding='utf-8') as f:
            text = f.read()
        agt.write_config(text.replace('servers = [', 'servers = ["hangs.example:4647", '))
        self.with_probe(agt, f'[ "$1" = -resolve ] && exec sleep 1000\nexec {real} "$@"').start().wait_api()
        self.ready(srv, agt.node_id(), 60)
        self.beats_go_on(tap.beats, 4)
        self.in_time(tap.beats)

    def frozen_disk(self):
        """(mount point, freeze, thaw) of a small ext4 of its own"""
        where = self.tmpdir()
        image, mnt = os.path.join(where, 'image'), os.path.join(where, 'mnt')
        os.mkdir(mnt)
        with open(image, 'wb') as f:
            f.truncate(32 << 20)
        subprocess.run(['mkfs.ext4', '-q', image], check=True)
        subprocess.run(['mount', '-o', 'loop', image, mnt], check=True)
        self.addCleanup(subprocess.run, ['umount', mnt], check=True)

        def freeze(on):
            subprocess.run(['fsfreeze', '-f' if on else '-u', mnt], check=on, stderr=subprocess.DEVNULL)
        self.addCleanup(freeze, False)
        return mnt, freeze

    def test_disk_stalls(self):
        try:
            mnt, freeze = self.frozen_disk()
        except (subprocess.CalledProcessError, FileNotFoundError) as e:
            self.skipTest(f'no loop-mounted file system to freeze here: {e}')
        srv, tap = self.tapped()
        tap.away()
        agt = self.agent([tap])
        agt.data = mnt
        agt.configure()
        self.addCleanup(freeze, False)  # before the agent is waited for: it ends when its writes do
        agt.start().wait_api()
        freeze(True)
        since = time.monotonic()
        tap.open()
        node_id = agt.node_id()
        self.ready(srv, node_id, 60)  # and remembering that, the journal waits for the disk
        self.beats_go_on(tap.beats, 4)
        self.in_time(tap.beats, since)
        self.assertEqual(get_json(agt.http, '/v1/agent/self')['stats']['client']['node_id'], node_id)
        # an ordered stop does not wait for it either
        agt.proc.terminate()
        wait_until('picketd goes', lambda: 'stopping' in agt.log(), 20)
        freeze(False)
        self.assertEqual(agt.stop(), 0)

    def test_stopped_for_longer_than_the_grace_is_late_and_says_why(self):
        srv, tap = self.tapped()
        agt = self.started(srv, tap)
        node_id = agt.node_id()
        self.beats_go_on(tap.beats, 2)
        agt.proc.send_signal(signal.SIGSTOP)
        wait_until('node down', lambda: srv.node(node_id)['Status'] == 'down', 60)
        time.sleep(1)
        agt.proc.send_signal(signal.SIGCONT)
        self.ready(srv, node_id, 10)
        late = self.event(srv, node_id, 'Heartbeat was late by ')
        self.assertEqual(late['Subsystem'], 'Heartbeat')
        self.assertEqual(late['Details']['given_up'], 'true')
        steps = ' '.join(v for k, v in late['Details'].items() if k.startswith('step_'))
        self.assertRegex(steps, r'(stopped|starved of CPU)[a-z ]* \d+\.\d s.*answered')
        stop = self.event(srv, node_id, 'Agent was ')
        self.assertGreaterEqual(float(stop['Details']['seconds']), GRACE)
        beats = get_json(agt.http, '/v1/agent/fingerprint')['Beats']
        self.assertTrue([b for b in beats if b['LateMs'] > 1000 * GRACE and b['Server'] == f'127.0.0.1:{tap.rpc}'], beats)

    def test_stopped_for_a_moment_is_not_late(self):
        srv, tap = self.tapped()
        agt = self.started(srv, tap)
        since = time.monotonic()
        for _ in range(3):
            agt.proc.send_signal(signal.SIGSTOP)
            time.sleep(GRACE / 4)
            agt.proc.send_signal(signal.SIGCONT)
            time.sleep(0.5)
        self.beats_go_on(tap.beats, 2)
        self.in_time(tap.beats, since)
        self.never_down(srv, agt.node_id())


class Network(StressCase):
    """what hangs is between us and the only server, or the server itself"""

    def test_connection_that_carries_nothing_any_more(self):
        srv, tap = self.tapped()
        agt = self.started(srv, tap)
        for _ in range(2):
            self.beats_go_on(tap.beats, 2)
            since = time.monotonic()
            tap.lose_connections()
            self.beats_go_on(tap.beats, 2)
            self.in_time(tap.beats, since - 3 * TTL)
        self.never_down(srv, agt.node_id())

    def test_server_stopped_for_a_while(self):
        srv, tap = self.tapped()
        agt = self.started(srv, tap)
        node_id = agt.node_id()
        self.beats_go_on(tap.beats, 1)
        for _ in range(2):
            os.kill(srv.proc.pid, signal.SIGSTOP)
            time.sleep(GRACE / 2)
            os.kill(srv.proc.pid, signal.SIGCONT)
            self.beats_go_on(tap.beats, 2)
        self.ready(srv, node_id, 10)
        # what reaches the tap was sent in time, whatever the server did with it
        self.in_time(tap.beats)

    def test_restart_of_the_server(self):
        srv, tap = self.tapped()
        agt = self.started(srv, tap)
        node_id = agt.node_id()
        srv.kill()
        time.sleep(TTL)
        srv.start().wait()
        self.beats_go_on(tap.beats, 3)
        self.never_down(srv, node_id)
        self.assertEqual(len(srv.nodes()), 1)

    def test_server_away_for_long_is_explained(self):
        srv, tap = self.tapped()
        agt = self.started(srv, tap)
        tap.away()
        time.sleep(3 * TTL + 2)
        tap.open()
        late = self.event(srv, agt.node_id(), 'Heartbeat was late by ')
        text = ' '.join(late['Details'].values())
        self.assertIn(f'127.0.0.1:{tap.rpc}', text)
        self.assertRegex(text, r'waited.* \d+\.\d s')


class TwoServers(StressCase):
    """one of two fails: the other one takes over before the TTL is over"""

    def pair(self):
        a = self.standin()
        b = self.standin(beats=a.beats)
        a.servers = b.servers = [a.rpc, b.rpc]
        return a, b

    def in_use(self, a, b):
        """(the one that the agent registered at, the other)"""
        wait_until('registered', lambda: a.registered or b.registered, 30)
        return (a, b) if a.registered else (b, a)

    def over(self, break_it):
        a, b = self.pair()
        agt = self.agent([a, b]).start().wait_api()
        self.in_use(a, b)
        self.beats_go_on(a.beats, 3)
        for s in (a, b, a):  # whichever is in use
            since = time.monotonic()
            mend = break_it(s)
            self.beats_go_on(a.beats, 3)
            self.in_time(a.beats, since - TTL)
            mend()
            self.beats_go_on(a.beats, 1)
        self.assertTrue(agt.alive())
        return agt, a, b

    def test_server_that_accepts_and_never_answers(self):
        def mute(s):
            s.mute = True
            return lambda: setattr(s, 'mute', False)
        agt, a, b = self.over(mute)
        self.assertEqual(get_json(agt.http, '/v1/agent/self')['stats']['client']['registration'], 'registered')

    def test_server_that_goes_away(self):
        def away(s):
            s.away()
            return s.open
        self.over(away)

    def test_first_server_never_answers_at_all(self):
        a, b = self.pair()
        a.mute = True
        start = time.monotonic()
        self.agent([a]).start()
        time.sleep(1)
        agt = self.agent([a, b]).start().wait_api()
        wait_until('registered', lambda: b.registered, 30)
        self.assertLess(time.monotonic() - start, 20)
        self.beats_go_on(b.beats, 3)
        self.assertTrue(agt.alive())
