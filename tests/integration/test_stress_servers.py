"""Heartbeats to two servers of which one fails: the other one takes over before the TTL is over."""
import time

from programs import get_json
from standin import StandIn
from stress import TTL, StressCase
from wire import wait_until


class TwoServers(StressCase):
    """one of two fails: the other one takes over before the TTL is over"""

    def standin(self, **kwargs):
        s = StandIn(ttl=TTL, **kwargs)
        self.addCleanup(s.close)
        return s

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
