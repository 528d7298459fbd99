"""kill -9 of picket-server at random moments under mixed load: what was answered or seen is there afterwards.

KILLS=1000 for the full run.
"""
import os
import random
import shutil
import time
import unittest

from load import Load
from programs import ProgramCase, get_json
from wire import wait_until

KILLS = int(os.environ.get('KILLS') or 25)
LIVES = 50      # kills before a server with an empty folder takes over: the fleet stays small, lists stay quick
SEED = int(os.environ.get('SEED') or 20261122)


class KillNine(ProgramCase):
    def setUp(self):
        self.random = random.Random(SEED)

    def memberships(self, srv):
        return [get_json(srv.http, p) for p in ('/v1/status/leader', '/v1/status/peers')] + [
            [(m['Name'], m['Addr'], m['Port'], m['Status'], m['Tags']['id']) for m in
             get_json(srv.http, '/v1/agent/members')['Members']]]

    def start_at_once(self, srv):
        srv.start()
        wait_until('server answers', lambda: srv.alive() and get_json(srv.http, '/v1/status/leader'), 60, 0.01)

    def one_life(self, srv, load):
        answered = load.ledger.answered
        load.begin()
        if self.random.random() < 0.9:
            wait_until('something is answered', lambda: load.ledger.answered > answered, 60, 0.005)
        time.sleep(self.random.random() ** 2 * 0.6)
        srv.kill()
        load.end()
        while self.random.random() < 0.3:       # and again while it starts
            srv.start()
            time.sleep(self.random.random() * 0.06)
            srv.kill()

    def generation(self, kills):
        srv = self.server()
        load = Load(srv, seed=self.random.random())
        self.start_at_once(srv)
        members = self.memberships(srv)
        for n in range(kills):
            self.one_life(srv, load)
            with open(srv.log_path, 'w', encoding='ascii'):
                pass
            self.start_at_once(srv)
            try:
                load.verify(everything=n == kills - 1)
                self.assertEqual(self.memberships(srv), members)
                for word in ('[ERROR]', 'corrupt', 'heartbeat missed'):
                    self.assertNotIn(word, srv.log())
            except AssertionError as e:
                raise AssertionError(f'kill {n}, SEED={SEED}: {e}\n{srv.log()[-3000:]}') from None
        self.assertEqual(srv.stop(), 0)
        srv.cleanup()
        return load.ledger

    def test_what_is_lost_is_noticed(self):
        """the test of the test: a server that comes back with yesterday's state is found out"""
        srv = self.server()
        load = Load(srv, seed=1)
        self.start_at_once(srv)
        old = os.path.join(srv.dir, 'old')
        for n in range(2):
            answered = load.ledger.answered
            load.begin()
            wait_until('some are answered', lambda a=answered: load.ledger.answered > a + 50, 60, 0.005)
            srv.kill()
            load.end()
            if n == 0:
                shutil.copytree(srv.data, old)
                self.start_at_once(srv)
                load.verify()
        shutil.rmtree(srv.data)
        os.rename(old, srv.data)
        self.start_at_once(srv)
        with self.assertRaises(AssertionError) as said:
            load.verify()
        for text in ('after the restart', 'is lost', 'is older than what a reader saw'):
            self.assertIn(text, str(said.exception))

    def test_nothing_answered_or_seen_is_lost(self):
        left, total, start = KILLS, {}, time.monotonic()
        while left > 0:
            n = min(left, LIVES)
            ledger = self.generation(n)
            for name in ('answered', 'unanswered', 'turned_up', 'refused', 'lists', 'reads'):
                total[name] = total.get(name, 0) + getattr(ledger, name)
            left -= n
            print(f'# {KILLS - left} kills, {time.monotonic() - start:.0f} s: {total}', flush=True)
        self.assertEqual(total['refused'], 0, ledger.refusals)
        self.assertGreater(total['answered'], 20 * KILLS)
        print('# RESULT {} kills in {:.0f} s: {answered} writes answered, none lost; {unanswered} not answered, {turned_up} of '
              'them there; {lists} lists and {reads} reads, none saw what was gone'.format(
                  KILLS, time.monotonic() - start, **total), flush=True)


if __name__ == '__main__':
    unittest.main()
