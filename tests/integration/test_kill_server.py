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
LIVES = min(50, KILLS // 2 + 1)      # kills before a server with an empty folder takes over: the fleet stays small, lists stay quick
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

    def generation(self, kills, collect):
        srv = self.server()
        load = Load(srv, seed=self.random.random(), collect=collect)
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
        empty = self.server()
        self.start_at_once(empty)
        load.verify_snapshot(empty)
        load.verify()
        for program in srv, empty:
            self.assertEqual(program.stop(), 0)
            program.cleanup()
        return load

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
        left, total, start, collect = KILLS, {}, time.monotonic(), False
        while left > 0:
            n = min(left, LIVES)
            load = self.generation(n, collect)
            ledger, collect = load.ledger, not collect
            total['snapshots'] = total.get('snapshots', 0) + load.n_snapshots
            for name in ('answered', 'unanswered', 'turned_up', 'refused', 'lists', 'reads'):
                total[name] = total.get(name, 0) + getattr(ledger, name)
            left -= n
            print(f'# {KILLS - left} kills, {time.monotonic() - start:.0f} s: {total}', flush=True)
        self.assertEqual(total['refused'], 0, ledger.refusals)
        self.assertGreater(total['answered'], 20 * KILLS)
        print('# RESULT {} kills in {:.0f} s: {answered} writes answered, none lost; {unanswered} not answered, {turned_up} of '
              'them there; {lists} lists, {reads} reads and {snapshots} snapshots, none had what was gone'.format(
                  KILLS, time.monotonic() - start, **total), flush=True)

    def test_a_stop_under_load_loses_nothing_and_ends_no_node(self):
        srv = self.server()
        load = Load(srv, seed=2)
        for _ in range(4):
            self.start_at_once(srv)
            load.verify(everything=True)
            self.assertNotIn('heartbeat missed', srv.log())
            answered = load.ledger.answered
            load.begin()
            wait_until('some are answered', lambda a=answered: load.ledger.answered > a + 50, 60, 0.005)
            self.assertEqual(srv.stop(), 0)
            load.end()
        self.assertEqual(set(load.ledger.refusals) - {'the server is stopping'}, set())


if __name__ == '__main__':
    unittest.main()
