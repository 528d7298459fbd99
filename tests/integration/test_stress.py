"""Heartbeats while something on this host hangs: not one late, measured where they arrive; late ones are explained."""
import os
import signal
import subprocess
import time

from programs import BIN, get_json
from stress import GRACE, StressCase
from wire import wait_until


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
        self.assertRegex(steps, r'(stopped|starved of CPU)[a-z0-9, ]* \d+\.\d s.*answered')
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
