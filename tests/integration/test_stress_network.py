"""Heartbeats to an only server that hangs, goes away or sits behind a dead connection."""
import os
import signal
import time

from stress import GRACE, TTL, StressCase


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
